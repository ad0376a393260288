using System.Net;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RemoteHttpTests
{
    private const string Secret = "hf_very_secret";

    [Theory]
    [InlineData(408)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    public async Task What_may_pass_is_tried_again_after_growing_waits(int status)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1, 2, 3]).FailFirst(3, new RemoteFault { Status = status });

        using var response = await bench.SendAsync(bench.Get("file"));

        Assert.Equal([1, 2, 3], await response.Content.ReadAsByteArrayAsync());
        Assert.Equal(4, bench.Server.Requests.Count);
        Assert.Equal(4, bench.Traffic.Requests);
        Assert.Equal(3, bench.Time.Waits.Count);
        Assert.All(bench.Time.Waits, wait => Assert.InRange(wait, TimeSpan.FromTicks(1), RemoteRetry.MaximumDelay));
        // What was answered before does not keep its connection from being used again.
        Assert.Single(bench.Server.Requests.Select(request => request.Connection).Distinct());
    }

    [Theory]
    [InlineData(200)]
    [InlineData(304)]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(410)]
    [InlineData(416)]
    [InlineData(501)]
    [InlineData(505)]
    public async Task What_will_not_pass_is_the_response(int status)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Status = status });

        using var response = await bench.SendAsync(bench.Get("file"));

        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.Single(bench.Server.Requests);
        Assert.Empty(bench.Time.Waits);
    }

    [Fact]
    public async Task What_goes_on_failing_says_the_address_without_secrets_the_status_and_the_tries()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { MaximumRetries = 2 });
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { Status = 503 });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file?signature=abc") with { Token = Secret }));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Equal($"{bench.Server.AddressOf("file")}: the server answers 503 Service Unavailable, also at try 3. Try again later.", failure.Message);
        Assert.Equal(3, bench.Server.Requests.Count);
        Assert.DoesNotContain("abc", failure.ToString());
        Assert.DoesNotContain(Secret, failure.ToString());
    }

    [Theory]
    [InlineData(null, "Information")]
    [InlineData("4", "Information")]
    [InlineData("5", "Warning")]
    public async Task What_is_tried_again_is_logged_as_a_warning_where_the_wait_is_long(string? retryAfter, string level)
    {
        var log = new RecordedLog();
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Logger = log });
        bench.Server.Add("file", [1]).FailFirst(1, new RemoteFault { Status = 429, RetryAfter = retryAfter });

        using var response = await bench.SendAsync(bench.Get("file?signature=abc") with { Token = Secret });

        Assert.Equal(level, Assert.Single(log.Levels).ToString());
        Assert.StartsWith($"{bench.Server.AddressOf("file")}: the server answers 429 Too Many Requests; tried again in ", log.Text);
        Assert.EndsWith(" s (1 of 5)", log.Text);
    }

    [Fact]
    public async Task Nothing_is_asked_offline()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Offline = true });
        bench.Server.Add("file", [1]);

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file?signature=abc")));

        Assert.Equal(RemoteFailure.Offline, failure.Failure);
        Assert.Contains("HF_HUB_OFFLINE=0", failure.Message);
        Assert.DoesNotContain("abc", failure.Message);
        Assert.Empty(bench.Server.Requests);
    }

    [Theory]
    [InlineData("7", 7)]
    [InlineData("0", 0)]
    [InlineData("Thu, 01 Jan 1970 00:00:42 GMT", 42)]
    [InlineData("Wed, 31 Dec 1969 00:00:00 GMT", 0)]
    [InlineData("86400", 300)]
    [InlineData("Thu, 01 Jan 2026 00:00:42 GMT", 300)]
    public async Task A_server_says_how_long_to_wait_up_to_a_limit(string retryAfter, int seconds)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailFirst(1, new RemoteFault { Status = 429, RetryAfter = retryAfter });

        using var response = await bench.SendAsync(bench.Get("file"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(seconds), bench.Time.Waits.Aggregate(TimeSpan.Zero, (sum, wait) => sum + wait));
    }

    [Fact]
    public async Task A_wait_that_nobody_understands_is_the_usual_one()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailFirst(1, new RemoteFault { Status = 503, RetryAfter = "soon" });

        using var response = await bench.SendAsync(bench.Get("file"));

        Assert.InRange(Assert.Single(bench.Time.Waits), TimeSpan.FromTicks(1), RemoteRetry.MaximumDelay);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_tried_again_and_named()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { MaximumRetries = 1 });
        await bench.Server.DisposeAsync();

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file")));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.StartsWith(bench.Server.AddressOf("file"), failure.Message);
        Assert.Contains("also at try 2", failure.Message);
        Assert.Single(bench.Time.Waits);
    }

    [Fact]
    public async Task A_server_that_says_nothing_counts_as_cut()
    {
        var time = new ManualTime();
        await using var bench = await HttpBench.StartAsync(RemoteOptions.Default with { MaximumRetries = 0 }, time);
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { IsSilent = true });

        var sent = bench.SendAsync(bench.Get("file"));
        await time.WaitForTimersAsync();
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(sent.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAsync<RemoteException>(() => sent);
        Assert.Contains("nothing came for 10 s, at the only try", failure.Message);
    }

    [Fact]
    public async Task Waiting_for_an_answer_can_be_cancelled()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { IsSilent = true });
        using var cancellation = new CancellationTokenSource();

        var sent = bench.Http.SendAsync(bench.Get("file"), cancellation.Token);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sent);
    }

    [Fact]
    public async Task A_request_says_who_asks_and_wants_the_bytes_as_they_are()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", new byte[100]);

        using var response = await bench.SendAsync(bench.Get("file") with { Range = (10, 20), IfRange = "\"first\"", Token = Secret });

        var request = Assert.Single(bench.Server.Requests);
        Assert.Matches(@"^ilgpu-loader/\d+\.\d+\.\d+", request["User-Agent"]);
        Assert.Equal("identity", request["Accept-Encoding"]);
        Assert.Equal("bytes=10-29", request["Range"]);
        Assert.Equal("\"first\"", request["If-Range"]);
        Assert.Equal($"Bearer {Secret}", request["Authorization"]);
        Assert.Equal(20, response.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task Cookies_are_not_kept()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).Headers["Set-Cookie"] = "session=1; Path=/";

        using var first = await bench.SendAsync(bench.Get("file"));
        using var second = await bench.SendAsync(bench.Get("file"));

        Assert.Null(bench.Server.Requests[1]["Cookie"]);
    }

    [Fact]
    public async Task Headers_without_end_are_refused()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", [1]).FailAlways(new RemoteFault { HeaderBytes = 128 << 10 });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.SendAsync(bench.Get("file")));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("more than 64 KiB", failure.Message);
        Assert.Single(bench.Server.Requests);
    }

    [Theory]
    [InlineData("ftp://host/file", "is no address of https or http")]
    [InlineData("file:///etc/passwd", "is no address of https or http")]
    [InlineData("https://user:password@host/file", "user")]
    public async Task Other_addresses_are_refused(string address, string problem)
    {
        await using var bench = await HttpBench.StartAsync();

        var failure = await Assert.ThrowsAsync<ArgumentException>(() => bench.SendAsync(new RemoteRequest(HttpMethod.Get, new Uri(address))));

        Assert.Contains(problem, failure.Message);
        Assert.DoesNotContain("password@", failure.Message);
        Assert.Equal(0, bench.Traffic.Requests);
    }

    [Fact]
    public void A_request_shows_no_secret()
    {
        var request = new RemoteRequest(HttpMethod.Get, new Uri("https://host/file?signature=abc")) { Token = Secret, SecretHeaders = [new("Cookie", Secret)] };

        Assert.Equal("GET https://host/file", request.ToString());
    }
}
