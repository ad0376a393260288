using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HttpObjectTests
{
    private static readonly RemoteContent Content = new([], 300_000, seed: 1);

    [Fact]
    public async Task One_request_tells_length_and_ranges()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);

        var file = await bench.OpenAsync("file?signature=abc");

        Assert.Equal((bench.Server.AddressOf("file"), 300_000, true), (file.Name, file.Length, file.TakesRanges));
        Assert.Equal(("GET", "bytes=0-0"), (bench.Server.Requests.Single().Method, bench.Server.Requests.Single()["Range"]));
    }

    [Fact]
    public async Task An_empty_file_has_no_bytes()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", []);

        var file = await bench.OpenAsync("file");

        Assert.Equal((0, true), (file.Length, file.TakesRanges));
        Assert.Empty(await HttpBench.ReadAsync(file, 0, 0));
        Assert.Single(bench.Server.Requests);
    }

    [Fact]
    public async Task A_server_without_ranges_gives_the_whole_file_once()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content).FailAlways(new RemoteFault { WithoutRanges = true });

        var file = await bench.OpenAsync("file");

        Assert.Equal((300_000, false), (file.Length, file.TakesRanges));
        Assert.Equal(Content.Slice(0, 300_000), await HttpBench.ReadAsync(file, 0, 300_000));
        Assert.Null(bench.Server.Requests[1]["Range"]);
        await Assert.ThrowsAsync<InvalidOperationException>(() => file.OpenRangeAsync(1, 2, CancellationToken.None));
    }

    [Theory]
    [InlineData(404, RemoteFailure.EntryMissing, "there is no such file (404 Not Found)")]
    [InlineData(410, RemoteFailure.EntryMissing, "410 Gone")]
    [InlineData(401, RemoteFailure.Unauthorized, "401 Unauthorized")]
    [InlineData(403, RemoteFailure.Unauthorized, "A signed address may have expired")]
    [InlineData(400, RemoteFailure.Network, "answers 400 Bad Request")]
    public async Task A_refusal_says_what_is_refused(int status, RemoteFailure failure, string message)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content).FailAlways(new RemoteFault { Status = status });

        var refusal = await Assert.ThrowsAsync<RemoteException>(() => bench.OpenAsync("file"));

        Assert.Equal(failure, refusal.Failure);
        Assert.Contains(message, refusal.Message);
    }

    [Fact]
    public async Task A_file_of_unknown_length_is_refused()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content).FailAlways(new RemoteFault { WithoutRanges = true, IsChunked = true });

        var refusal = await Assert.ThrowsAsync<RemoteException>(() => bench.OpenAsync("file"));

        Assert.Contains("does not say how long", refusal.Message);
    }

    [Fact]
    public async Task An_encoded_file_is_refused()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { ContentEncoding = "gzip" });

        var opening = await Assert.ThrowsAsync<RemoteException>(() => bench.OpenAsync("file"));
        var reading = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 0, 10));

        Assert.Contains("'gzip'", opening.Message);
        Assert.Contains("'gzip'", reading.Message);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 300_000)]
    [InlineData(299_999, 1)]
    [InlineData(12_345, 67_890)]
    public async Task A_range_has_exactly_its_bytes(long offset, int length)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        var before = bench.Traffic.Bytes;

        Assert.Equal(Content.Slice(offset, length), await HttpBench.ReadAsync(file, offset, length));
        Assert.Equal(length, bench.Traffic.Bytes - before);
        Assert.Equal(2, bench.Traffic.Requests);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 300_001)]
    [InlineData(299_999, 2)]
    [InlineData(0, -1)]
    public async Task A_range_outside_the_file_is_a_wrong_argument(long offset, long length)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => file.OpenRangeAsync(offset, length, CancellationToken.None));
    }

    [Theory]
    [InlineData("\"abc\"", true, "\"abc\"")]
    [InlineData("\"abc\"", false, "\"abc\"")]
    [InlineData("W/\"abc\"", true, "Sun, 01 Feb 2026 03:04:05 GMT")]
    [InlineData(null, true, "Sun, 01 Feb 2026 03:04:05 GMT")]
    [InlineData("W/\"abc\"", false, null)]
    [InlineData(null, false, null)]
    public async Task Ranges_are_asked_of_the_content_that_was_opened(string? tag, bool hasTime, string? expected)
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        (served.EntityTag, served.LastModified) = (tag, hasTime ? new DateTimeOffset(2026, 2, 1, 3, 4, 5, TimeSpan.Zero) : null);
        var file = await bench.OpenAsync("file");

        Assert.Equal(Content.Slice(5, 10), await HttpBench.ReadAsync(file, 5, 10));
        Assert.Equal(expected, bench.Server.Requests[1]["If-Range"]);
    }

    [Theory]
    [InlineData(false, false, "it was ETag '\"first\"' and is ETag '\"second\"' now")]
    [InlineData(true, false, "it was ETag '\"first\"' and is ETag '\"second\"' now")]
    [InlineData(true, true, "it had 300000 bytes and has 400000 now")]
    [InlineData(false, true, "it had 300000 bytes and has 400000 now")]
    public async Task Another_content_is_noticed(bool ignoresIfRange, bool withoutTag, string expected)
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        (served.Content, served.EntityTag) = (new RemoteContent([], withoutTag ? 400_000 : 300_000, seed: 2), withoutTag ? null : "\"second\"");
        served.FailAlways(new RemoteFault { IgnoresIfRange = ignoresIfRange });

        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
        Assert.Contains(expected, failure.Message);
    }

    [Fact]
    public async Task A_file_that_became_shorter_has_changed()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.Content = new RemoteContent([], 1000);
        served.FailAlways(new RemoteFault { IgnoresIfRange = true });

        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 5000, 10));

        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
        Assert.Contains("it had 300000 bytes and has 1000 now", failure.Message);
    }

    [Theory]
    [InlineData("bytes 6-15/300000")]
    [InlineData("bytes 5-15/300000")]
    [InlineData("bytes 5-14/*")]
    [InlineData("items 5-14/300000")]
    [InlineData("")]
    public async Task An_answer_with_another_range_makes_no_sense(string contentRange)
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { ContentRange = contentRange });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("although bytes 5-14/300000 were asked for", failure.Message);
    }

    [Fact]
    public async Task An_answer_of_another_length_makes_no_sense()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { ContentLength = 9 });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Contains("with 9 bytes although 10 were asked for", failure.Message);
    }

    [Fact]
    public async Task A_server_that_gives_ranges_no_longer_is_an_error()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { WithoutRanges = true });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Contains("gives no ranges any more", failure.Message);
    }

    [Fact]
    public async Task A_known_file_is_pinned_to_what_answers_first()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = HttpObject.Known(bench.Http, bench.Get("file"), 300_000, null);

        Assert.Equal(Content.Slice(5, 10), await HttpBench.ReadAsync(file, 5, 10));
        served.EntityTag = "\"second\"";
        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Null(bench.Server.Requests[0]["If-Range"]);
        Assert.Equal("\"first\"", bench.Server.Requests[1]["If-Range"]);
        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
    }

    [Fact]
    public async Task A_known_file_of_a_server_without_ranges_says_how_to_load_it()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content).FailAlways(new RemoteFault { WithoutRanges = true });
        var file = HttpObject.Known(bench.Http, bench.Get("file"), 300_000, null);

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Contains("download it first, as a load without --stream does", failure.Message);
    }

    [Theory]
    [InlineData(300_000, "\"other\"")]
    [InlineData(299_999, null)]
    public async Task A_known_file_must_be_what_is_known_of_it(long length, string? tag)
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        var file = HttpObject.Known(bench.Http, bench.Get("file"), length, tag);

        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(() => HttpBench.ReadAsync(file, 5, 10));

        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
    }

    [Fact]
    public async Task A_body_that_is_cut_says_how_much_came()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { CutAfter = 1000 });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 0, 2000));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("the connection is cut after 1000 of 2000 bytes", failure.Message);
    }

    [Fact]
    public async Task A_body_in_which_nothing_comes_any_more_counts_as_cut()
    {
        var time = new ManualTime();
        await using var bench = await HttpBench.StartAsync(RemoteOptions.Default, time);
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { StallAfter = 1000 });

        await using var body = await file.OpenRangeAsync(0, 2000, CancellationToken.None);
        await body.ReadExactlyAsync(new byte[1000]);
        var read = body.ReadAsync(new byte[10]).AsTask();
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(read.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAsync<RemoteException>(() => read);
        Assert.Contains("nothing came for 10 s after 1000 of 2000 bytes", failure.Message);
    }

    [Fact]
    public async Task Reading_a_body_can_be_cancelled()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { StallAfter = 1000 });
        using var cancellation = new CancellationTokenSource();

        await using var body = await file.OpenRangeAsync(0, 2000, CancellationToken.None);
        await body.ReadExactlyAsync(new byte[1000]);
        var read = body.ReadAsync(new byte[10], cancellation.Token).AsTask();
        await cancellation.CancelAsync();

        var canceled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        Assert.Equal(cancellation.Token, canceled.CancellationToken);
    }

    [Fact]
    public async Task A_body_without_end_is_an_error()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { IsEndless = true });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => HttpBench.ReadAsync(file, 0, 2000));

        Assert.Contains("sends more than the 2000 bytes", failure.Message);
    }

    [Fact]
    public async Task A_body_in_chunks_that_ends_where_it_should_is_one()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { IsChunked = true });

        Assert.Equal(Content.Slice(7, 2000), await HttpBench.ReadAsync(file, 7, 2000));
    }

    [Fact]
    public async Task Ranges_go_where_the_redirect_led_until_that_refuses()
    {
        await using var bench = await HttpBench.StartAsync();
        await using var storage = await RemoteServer.StartAsync();
        bench.Server.Add("file", Content).Faults = request => new RemoteFault { Redirect = storage.AddressOf($"blob{Math.Min(request, 2)}?signature=abc") };
        var first = storage.Add("blob1", Content);
        storage.Add("blob2", Content);
        var file = await HttpObject.OpenAsync(bench.Http, bench.Get("file") with { Token = "hf_secret" }, CancellationToken.None);

        Assert.Equal(Content.Slice(5, 10), await HttpBench.ReadAsync(file, 5, 10));
        first.FailAlways(new RemoteFault { Status = 403 });
        Assert.Equal(Content.Slice(15, 10), await HttpBench.ReadAsync(file, 15, 10));
        Assert.Equal(Content.Slice(25, 10), await HttpBench.ReadAsync(file, 25, 10));

        Assert.Equal(["/blob1", "/blob1", "/blob1", "/blob2", "/blob2"], storage.Requests.Select(request => request.Path));
        Assert.Equal(2, bench.Server.Requests.Count);
        Assert.All(bench.Server.Requests, request => Assert.Equal("Bearer hf_secret", request["Authorization"]));
        Assert.All(storage.Requests, request => Assert.Null(request["Authorization"]));
    }

    [Fact]
    public async Task Ranges_are_asked_of_the_first_address_again_when_the_host_behind_it_is_gone()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { MaximumRetries = 1 });
        await using var second = await RemoteServer.StartAsync();
        second.Add("blob", Content);
        HttpObject file;
        await using (var first = await RemoteServer.StartAsync())
        {
            first.Add("blob", Content);
            var target = first.AddressOf("blob");
            bench.Server.Add("file", Content).Faults = request => new RemoteFault { Redirect = request == 1 ? target : second.AddressOf("blob") };
            file = await bench.OpenAsync("file");
        }

        Assert.Equal(Content.Slice(5, 10), await HttpBench.ReadAsync(file, 5, 10));
        Assert.Equal(Content.Slice(15, 10), await HttpBench.ReadAsync(file, 15, 10));

        Assert.Equal(2, second.Requests.Count);
        Assert.Equal(2, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task An_address_that_another_host_chose_is_not_given_the_token_by_a_later_range_either()
    {
        await using var bench = await HttpBench.StartAsync();
        await using var other = await RemoteServer.StartAsync();
        bench.Server.Add("file", Content).FailAlways(new RemoteFault { Redirect = other.AddressOf("away") });
        other.Add("away", Content).FailAlways(new RemoteFault { Redirect = bench.Server.AddressOf("settings") });
        bench.Server.Add("settings", Content);
        var file = await HttpObject.OpenAsync(
            bench.Http, bench.Get("file") with { Token = "hf_secret", SecretHeaders = [new("X-Secret", "hf_secret")] }, CancellationToken.None);

        Assert.Equal(Content.Slice(5, 10), await HttpBench.ReadAsync(file, 5, 10));
        Assert.Equal(Content.Slice(15, 10), await HttpBench.ReadAsync(file, 15, 10));

        Assert.Equal(["/file", "/settings", "/file", "/settings", "/file", "/settings"], bench.Server.Requests.Select(request => request.Path));
        Assert.All(bench.Server.Requests.Where(request => request.Path == "/settings"), request => Assert.DoesNotContain("hf_secret", string.Join('\n', request.Headers)));
        Assert.All(other.Requests, request => Assert.DoesNotContain("hf_secret", string.Join('\n', request.Headers)));
    }
}
