using System.Net;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RedirectTests
{
    private const string Secret = "hf_very_secret";

    [Theory]
    [InlineData(301, "/folder/target")]
    [InlineData(302, "target")]
    [InlineData(303, "../folder/target")]
    [InlineData(307, "/folder/target?signature=abc")]
    [InlineData(308, "//127.0.0.1:{port}/folder/target")]
    [InlineData(302, "http://127.0.0.1:{port}/folder/target")]
    public async Task A_redirect_within_the_host_is_followed_with_the_token(int status, string location)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("folder/file", [1])
            .FailAlways(new RemoteFault { Status = status, Redirect = location.Replace("{port}", $"{bench.Server.Address.Port}", StringComparison.Ordinal) });
        bench.Server.Add("folder/target", [2]);

        using var response = await bench.SendAsync(WithSecrets(bench.Get("folder/file")) with { FollowsToOtherHosts = false });

        Assert.Equal([2], await response.Content.ReadAsByteArrayAsync());
        Assert.Equal("/folder/target", response.RequestMessage!.RequestUri!.AbsolutePath);
        Assert.All(bench.Server.Requests, request => Assert.Equal($"Bearer {Secret}", request["Authorization"]));
    }

    [Fact]
    public async Task Another_host_never_gets_the_token()
    {
        await using var bench = await HttpBench.StartAsync();
        await using var other = await RemoteServer.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Redirect = other.AddressOf("target") });
        other.Add("target", [2]);

        using var response = await bench.SendAsync(WithSecrets(bench.Get("file")));

        Assert.Equal([2], await response.Content.ReadAsByteArrayAsync());
        Assert.Equal($"Bearer {Secret}", Assert.Single(bench.Server.Requests)["Authorization"]);
        Assert.Equal(Secret, Assert.Single(bench.Server.Requests)["X-Secret"]);
        Assert.DoesNotContain(Secret, string.Join('\n', Assert.Single(other.Requests).Headers));
    }

    [Fact]
    public async Task Another_host_cannot_lead_the_token_back()
    {
        await using var bench = await HttpBench.StartAsync();
        await using var other = await RemoteServer.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Redirect = other.AddressOf("away") });
        other.Add("away", [2]).FailAlways(new RemoteFault { Redirect = bench.Server.AddressOf("settings") });
        bench.Server.Add("settings", [3]);

        using var response = await bench.SendAsync(WithSecrets(bench.Get("file")));

        Assert.Null(bench.Server.Requests[1]["Authorization"]);
        Assert.Null(bench.Server.Requests[1]["X-Secret"]);
    }

    [Theory]
    [InlineData("file:///etc/passwd", "to the scheme 'file'")]
    [InlineData("ftp://127.0.0.1/file", "to the scheme 'ftp'")]
    [InlineData("gopher://127.0.0.1/file", "to the scheme 'gopher'")]
    [InlineData("http://user:password@127.0.0.1/file", "to an address with a user in it")]
    public async Task A_redirect_that_leads_where_it_must_not_is_refused(string location, string problem)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Redirect = location });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(WithSecrets(bench.Get("file"))));

        Assert.Equal(RemoteFailure.Unsafe, failure.Failure);
        Assert.Equal($"{bench.Server.AddressOf("file")}: it redirects {problem}, which is not followed.", failure.Message);
        Assert.Single(bench.Server.Requests);
    }

    [Fact]
    public void A_redirect_from_https_to_http_is_refused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://host/file");
        using var response = new HttpResponseMessage(HttpStatusCode.Found) { RequestMessage = request };
        response.Headers.TryAddWithoutValidation("Location", "http://host/file");

        var failure = Assert.Throws<RemoteException>(() => RemoteHttp.RedirectOf(response));

        Assert.Equal(RemoteFailure.Unsafe, failure.Failure);
        Assert.Contains("from https to http", failure.Message);
    }

    [Theory]
    [InlineData(null, "without a Location")]
    [InlineData("http://", "what is no address")]
    public async Task A_redirect_to_nowhere_is_an_answer_that_makes_no_sense(string? location, string problem)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Status = 302, Redirect = location });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file")));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains(problem, failure.Message);
    }

    [Fact]
    public async Task Redirects_without_end_end()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { MaximumRedirects = 3 });
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Redirect = "/file" });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file")));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("redirects more than 3 times", failure.Message);
        Assert.Equal(4, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task A_redirect_to_another_host_is_the_response_where_that_is_asked_for()
    {
        await using var bench = await HttpBench.StartAsync();
        await using var other = await RemoteServer.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Redirect = "/next" });
        bench.Server.Add("next", [1]).FailAlways(new RemoteFault { Redirect = other.AddressOf("target?signature=abc") });

        using var response = await bench.SendAsync(bench.Get("file") with { Method = HttpMethod.Head, FollowsToOtherHosts = false });

        Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        Assert.Equal("/next", response.RequestMessage!.RequestUri!.AbsolutePath);
        Assert.Equal(other.AddressOf("target?signature=abc"), RemoteHttp.RedirectOf(response).AbsoluteUri);
        Assert.Empty(other.Requests);
    }

    [Fact]
    public async Task A_redirect_within_the_host_is_the_response_where_it_is_the_answer_and_names_the_host()
    {
        await using var bench = await HttpBench.StartAsync();
        foreach (var (path, target) in (ReadOnlySpan<(string, string)>)[("named", bench.Server.AddressOf("target")), ("relative", "/target"), ("query", "target?of=http://other:1/x")])
        {
            var file = bench.Server.Add(path, [1]);
            file.Headers["X-Answer"] = "yes";
            file.FailAlways(new RemoteFault { Redirect = target });
        }

        bench.Server.Add("target", [1]);
        var request = bench.Get("named") with { Method = HttpMethod.Head, FollowsToOtherHosts = false, IsAnswer = response => response.Headers.Contains("X-Answer") };

        foreach (var (path, isFollowed) in ((string, bool)[])[("named", false), ("relative", true), ("query", true)])
        {
            using var response = await bench.SendAsync(request with { Address = bench.Get(path).Address });
            Assert.Equal(isFollowed ? HttpStatusCode.OK : HttpStatusCode.Found, response.StatusCode);
        }
    }

    private static RemoteRequest WithSecrets(RemoteRequest request) => request with { Token = Secret, SecretHeaders = [new("X-Secret", Secret)] };
}
