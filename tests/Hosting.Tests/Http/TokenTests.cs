using System.Net;
using System.Runtime.Versioning;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.Logging;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class TokenTests
{
    private const string Everywhere = "http://0.0.0.0:0";

    public static TheoryData<string> Reads => ["/api/models", "/api/models/llama", "/api/models/llama/tensors", "/api/events", "/metrics"];

    public static TheoryData<string> Actions => ["load", "reload", "unload"];

    [Theory]
    [MemberData(nameof(Actions))]
    public async Task Actions_are_off_without_a_token(string action)
    {
        await using var server = await RunningServer.StartAsync();
        var detail = await RunningServer.ProblemAsync(server.PostAsync($"/api/models/llama/{action}"), 403, "ControlOff");
        Assert.Contains("IlgpuLoader:Http:TokenFile", detail, StringComparison.Ordinal);
        Assert.Contains("ILGPU_LOADER_TOKEN", detail, StringComparison.Ordinal);
        Assert.Empty(server.Store["llama"].Calls);
    }

    [Theory]
    [MemberData(nameof(Actions))]
    public async Task Actions_need_the_token_also_on_a_loopback(string action)
    {
        await using var server = await WithTokenAsync();
        server.Store["llama"].Become(ModelState.Loaded);
        foreach (var wrong in (string?[])[
            null, "", "Bearer", "Bearer ", "Bearer x", $"Bearer {RunningServer.Token}x", $"Bearer {RunningServer.Token[..^1]}", $"Bearer {RunningServer.Token.ToUpperInvariant()}",
            $"Basic {RunningServer.Token}", RunningServer.Token, $"Bearer{RunningServer.Token}", $"Bearer {RunningServer.Token}, Bearer {RunningServer.Token}"])
        {
            using var response = await server.PostAsync($"/api/models/llama/{action}", wrong);
            Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
            _ = await RunningServer.ProblemAsync(Task.FromResult(response), 401, "TokenNeeded");
        }

        Assert.Empty(server.Store["llama"].Calls);
        using var accepted = await server.PostAsync($"/api/models/llama/{action}");
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        Assert.Equal("/api/models/llama", accepted.Headers.Location!.ToString());
        Assert.Equal($$"""{"schema":"ilgpu-loader/accepted/1","model":"llama","action":"{{action}}"}""", await accepted.Content.ReadAsStringAsync());
        await server.Store.UntilAsync(() => server.Store["llama"].Calls is [var call] && call == action);
    }

    [Fact]
    public async Task Scheme_is_the_same_in_any_case()
    {
        await using var server = await WithTokenAsync();
        using var response = await server.PostAsync("/api/models/llama/load", $"bearer {RunningServer.Token}");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }

    [Fact]
    public async Task Two_headers_are_none()
    {
        await using var server = await WithTokenAsync();
        var request = new HttpRequestMessage(HttpMethod.Post, "/api/models/llama/load");
        _ = request.Headers.TryAddWithoutValidation("Authorization", [$"Bearer {RunningServer.Token}", $"Bearer {RunningServer.Token}"]);
        _ = await RunningServer.ProblemAsync(server.Client.SendAsync(request), 401, "TokenNeeded");
    }

    [Theory]
    [MemberData(nameof(Reads))]
    public async Task Reads_are_open_on_a_loopback_with_a_token_and_without(string path)
    {
        foreach (var variables in (string[][])[[], [$"TOKEN={RunningServer.Token}"]])
        {
            await using var server = await RunningServer.StartAsync(variables: variables);
            using var response = await server.SendAsync(HttpMethod.Get, path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            if (path == "/api/models")
            {
                Assert.Equal(variables.Length > 0, (await RunningServer.ReadAsync(response)).GetProperty("canControl").GetBoolean());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Reads))]
    public async Task Reads_need_the_token_where_others_reach_the_host(string path)
    {
        await using var server = await WithTokenAsync(Everywhere);
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 401, "TokenNeeded");
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path, "Bearer x"), 401, "TokenNeeded");
        using var response = await server.SendAsync(HttpMethod.Get, path, $"Bearer {RunningServer.Token}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Reads))]
    public async Task Reads_need_the_token_on_a_loopback_too_where_the_option_says_so(string path)
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}", "Http__RequireTokenForReads=true"]);
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 401, "TokenNeeded");
        using var response = await server.SendAsync(HttpMethod.Get, path, $"Bearer {RunningServer.Token}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        if (path == "/api/models")
        {
            Assert.True((await RunningServer.ReadAsync(response)).GetProperty("needsToken").GetBoolean());
        }
    }

    [Fact]
    public async Task Health_and_the_page_need_none_anywhere()
    {
        await using var server = await WithTokenAsync(Everywhere);
        server.Store["llama"].Become(ModelState.Loaded);
        foreach (var path in (string[])["/healthz", "/readyz", "/", "/page/page.js"])
        {
            using var response = await server.SendAsync(HttpMethod.Get, path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Fact]
    public async Task Models_unknown_to_the_store_are_not_told_to_who_has_no_token()
    {
        await using var server = await WithTokenAsync(Everywhere);
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, "/api/models/none"), 401, "TokenNeeded");
        Assert.Empty(server.Store.LookedUp);
    }

    [LinuxTheory]
    [SupportedOSPlatform("linux")]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("")]
    public async Task Token_file_may_end_its_line_and_is_warned_of_where_others_read_it(string end)
    {
        using var folder = new TemporaryFolder();
        var file = folder["token"];
        await File.WriteAllTextAsync(file, RunningServer.Token + end);
        foreach (var mode in (UnixFileMode[])[UnixFileMode.UserRead, UnixFileMode.UserRead | UnixFileMode.OtherRead])
        {
            File.SetUnixFileMode(file, mode);
            await using var server = await RunningServer.StartAsync(variables: [$"Http__TokenFile={file}"]);
            using var response = await server.PostAsync("/api/models/llama/load");
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
            Assert.Equal(
                mode.HasFlag(UnixFileMode.OtherRead), server.Log.Entries.Any(entry => entry is { Level: LogLevel.Warning, Id.Name: "TokenFileReadByOthers" } && entry.Text.Contains(file, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task Token_is_in_no_log_at_any_level()
    {
        using var folder = new TemporaryFolder();
        var file = folder["config.json"];
        await File.WriteAllTextAsync(file, """{"Logging":{"LogLevel":{"Default":"Trace","IlgpuLoader":"Trace"},"Console":{"LogLevel":{"Default":"None","IlgpuLoader":"None"}}}}""");
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"], configurationFile: file);
        using var right = await server.PostAsync("/api/models/llama/load");
        using var wrong = await server.PostAsync("/api/models/llama/load", "Bearer a-wrong-one");
        await server.StopAsync();
        // That there is a log of the requests at all.
        Assert.Contains(server.Log.Entries, entry => entry.Text.Contains("/api/models/llama/load", StringComparison.Ordinal));
        Assert.DoesNotContain(server.Log.Entries, entry => entry.Text.Contains(RunningServer.Token, StringComparison.Ordinal) || entry.Text.Contains("a-wrong-one", StringComparison.Ordinal));
    }

    private static Task<RunningServer> WithTokenAsync(string urls = "http://127.0.0.1:0") => RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"], urls: urls);
}
