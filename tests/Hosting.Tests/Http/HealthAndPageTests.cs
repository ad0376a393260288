using System.Net;
using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class HealthAndPageTests
{
    [Fact]
    public async Task Readiness_is_503_until_models_are_there_and_says_how_far_they_are()
    {
        await using var server = await RunningServer.StartAsync(new StandInStore("bert", "llama", "qwen"));
        server.Store["qwen"].Become(status => status with { State = ModelState.Loading, Download = new ModelDownload(0, 1, 1, 8, 5) });
        server.Store["bert"].Become(status => status with { State = ModelState.Failed, Failure = new ModelFailure("Unreadable", "/secret/path is gone", DateTimeOffset.UnixEpoch, 1, null) });
        server.Store["llama"].Become(status => status with { State = ModelState.Loading, Path = "/secret/path", Progress = new LoadProgress(1, 3, 0, 2) });
        using var response = await server.SendAsync(HttpMethod.Get, "/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(
            """
            {"schema":"ilgpu-loader/ready/1","status":"Unhealthy","checks":[{"name":"models","status":"Unhealthy"}],
            "models":[{"name":"bert","state":"Failed","required":true,"available":false,"failure":"Unreadable"},
            {"name":"llama","state":"Loading","required":true,"available":false,"percent":33.3},
            {"name":"qwen","state":"Loading","required":true,"available":false,"downloadPercent":12.5}]}
            """.ReplaceLineEndings(""),
            await response.Content.ReadAsStringAsync());

        server.Store["bert"].Become(ModelState.Loaded);
        server.Store["llama"].Become(ModelState.Loaded);
        server.Store["qwen"].Become(ModelState.Loaded);
        Assert.Equal("Healthy", (await server.GetAsync("/readyz")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Liveness_is_200_while_models_load_and_503_when_the_service_is_dead()
    {
        await using var server = await RunningServer.StartAsync();
        Assert.Equal(
            """{"schema":"ilgpu-loader/health/1","status":"Healthy","checks":[{"name":"loading-service","status":"Healthy"}]}""", (await server.GetAsync("/healthz")).GetRawText());
        server.Store["llama"].Become(status => status with { Failure = new ModelFailure("Dead", "", DateTimeOffset.UnixEpoch, 1, null) });
        using var response = await server.SendAsync(HttpMethod.Get, "/healthz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    [Theory]
    [InlineData("/", "text/html; charset=utf-8", "<!doctype html><title>models</title>")]
    [InlineData("/page/index.html", "text/html; charset=utf-8", "<!doctype html><title>models</title>")]
    [InlineData("/page/page.js", "text/javascript; charset=utf-8", "export {};")]
    [InlineData("/page/parts/icon.svg", "image/svg+xml", "<svg/>")]
    public async Task Page_has_a_strict_policy_and_a_tag(string path, string type, string content)
    {
        await using var server = await RunningServer.StartAsync();
        using var response = await server.SendAsync(HttpMethod.Get, path);
        Assert.Equal((type, content), (response.Content.Headers.ContentType!.ToString(), await response.Content.ReadAsStringAsync()));
        Assert.Equal(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Assert.Single(response.Headers.GetValues("Content-Security-Policy")));
        Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));

        var tag = response.Headers.ETag!;
        foreach (var (given, status) in new[] { (tag.Tag, 304), ($"W/{tag.Tag}", 304), ($"\"other\", {tag.Tag}", 304), ("\"other\"", 200) })
        {
            var request = new HttpRequestMessage(HttpMethod.Get, path);
            _ = request.Headers.TryAddWithoutValidation("If-None-Match", given);
            using var again = await server.Client.SendAsync(request);
            Assert.Equal(status, (int)again.StatusCode);
            Assert.Equal(status == 304 ? "" : content, await again.Content.ReadAsStringAsync());
            Assert.Equal(tag, again.Headers.ETag);
        }
    }

    [Theory]
    [InlineData("/page/none.js")]
    [InlineData("/page/..%2F..%2Fetc%2Fpasswd")]
    [InlineData("/page/%2Fetc%2Fpasswd")]
    [InlineData("/page/parts")]
    [InlineData("/page/INDEX.HTML")]
    public async Task Page_has_no_other_files(string path)
    {
        await using var server = await RunningServer.StartAsync();
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, path), 404, "NotFound");
    }

    [Fact]
    public async Task Page_can_be_left_out()
    {
        await using var server = await RunningServer.StartAsync(variables: ["Http__Page=false"]);
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, "/"), 404, "NotFound");
        _ = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, "/page/page.js"), 404, "NotFound");
    }
}
