using System.Net;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What is asked of a storage for an object, and what its answers mean.</summary>
public sealed class S3ObjectTests
{
    private static readonly S3Address Address = new("bucket", "a/model.safetensors");

    private static readonly byte[] Content = [.. Enumerable.Range(0, 200).Select(number => (byte)number)];

    [Fact]
    public async Task OpenRange_PinsEtagAndVersion_AndCountsItsBytes()
    {
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head ? ScriptedStorage.Head(200, version: "v7") : ScriptedStorage.Range(request, Content));
        var traffic = new RemoteTraffic();
        using var client = storage.Client(traffic: traffic);
        var file = await S3Object.OpenAsync(client, Address, default);
        Assert.Equal((200, true, "s3://bucket/a/model.safetensors"), (file.Length, file.TakesRanges, file.Name));
        Assert.Equal(Content[10..60], await ReadAsync(file, 10, 50));
        var get = storage.Requests[1];
        Assert.Equal(("/bucket/a/model.safetensors", "\"one\"", "bytes=10-59"), (get.RequestUri!.AbsolutePath, get.Headers.IfMatch.Single().Tag, get.Headers.Range!.ToString()));
        Assert.Contains("versionId=v7", get.RequestUri.Query, StringComparison.Ordinal);
        Assert.False(get.Headers.Contains("x-amz-checksum-mode"));
        Assert.Equal((2, 50), (traffic.Requests, traffic.Bytes));
    }

    [Fact]
    public async Task OpenRange_OfABucketWithoutVersions_AsksForNone()
    {
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head ? ScriptedStorage.Head(200, version: "null") : ScriptedStorage.Range(request, Content));
        using var client = storage.Client();
        var file = await S3Object.OpenAsync(client, Address, default);
        _ = await ReadAsync(file, 0, 200);
        Assert.DoesNotContain("versionId", storage.Requests[1].RequestUri!.Query, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Requests_AreSigned_UnlessAnonymous(bool isAnonymous)
    {
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Head(200));
        using var client = storage.Client(settings: ScriptedStorage.Settings with { IsAnonymous = isAnonymous });
        _ = await S3Object.OpenAsync(client, Address, default);
        Assert.Equal(!isAnonymous, storage.Requests[0].Headers.Contains("Authorization"));
    }

    [Theory]
    [InlineData(HttpStatusCode.PreconditionFailed, "PreconditionFailed")]
    [InlineData(HttpStatusCode.RequestedRangeNotSatisfiable, "InvalidRange")]
    public async Task OpenRange_OfAReplacedObject_SaysWhatItWasAndIs(HttpStatusCode status, string code)
    {
        var etags = new Queue<string>(["\"one\"", "\"two\""]);
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head ? ScriptedStorage.Head(200, etags.Dequeue()) : ScriptedStorage.Error(status, code));
        using var client = storage.Client();
        var file = await S3Object.OpenAsync(client, Address, default);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => file.OpenRangeAsync(0, 50, default));
        Assert.Equal((CheckpointErrorCode.FileChanged, "s3://bucket/a/model.safetensors"), (exception.Code, exception.File));
        Assert.Contains("was \"one\" when it was opened, and is \"two\" now", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"two\"", 200, "\"two\" now")]
    [InlineData("\"one\"", 300, "had 200 bytes when it was opened, and has 300 now")]
    public async Task OpenRange_OfAServerThatKnowsNoIfMatch_HoldsItsAnswerAgainstWhatWasOpened(string etag, long total, string message)
    {
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head ? ScriptedStorage.Head(200) : ScriptedStorage.Range(request, Content, etag, total));
        using var client = storage.Client();
        var file = await S3Object.OpenAsync(client, Address, default);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => file.OpenRangeAsync(0, 50, default));
        Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenRange_OfAServerThatIgnoresRanges_Throws()
    {
        using var storage = new ScriptedStorage(request =>
        {
            var response = ScriptedStorage.Head(200);
            response.Content = request.Method == HttpMethod.Head ? response.Content : new ByteArrayContent(Content);
            return response;
        });
        using var client = storage.Client();
        var file = await S3Object.OpenAsync(client, Address, default);
        var exception = await Assert.ThrowsAsync<RemoteException>(() => file.OpenRangeAsync(10, 50, default));
        Assert.Contains("does not keep to ranges", exception.Message, StringComparison.Ordinal);
        // All of it is what was asked for.
        Assert.Equal(Content, await ReadAsync(file, 0, 200));
    }

    [Fact]
    public async Task OpenRange_OfABodyThatIsCut_ThrowsNetwork()
    {
        using var storage = new ScriptedStorage(request =>
        {
            if (request.Method == HttpMethod.Head)
            {
                return ScriptedStorage.Head(200);
            }

            var response = ScriptedStorage.Range(request, Content);
            var (range, length) = (response.Content.Headers.ContentRange, response.Content.Headers.ContentLength);
            response.Content = new StreamContent(new MemoryStream(Content[..20]));
            (response.Content.Headers.ContentRange, response.Content.Headers.ContentLength) = (range, length);
            return response;
        });
        var traffic = new RemoteTraffic();
        using var client = storage.Client(traffic: traffic);
        var file = await S3Object.OpenAsync(client, Address, default);
        await using var body = await file.OpenRangeAsync(0, 50, default);
        var exception = await Assert.ThrowsAsync<RemoteException>(() => body.ReadExactlyAsync(new byte[50]).AsTask());
        Assert.Equal((RemoteFailure.Network, 20), (exception.Failure, traffic.Bytes));
        Assert.Contains("20 of 50 bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Source_OfBodiesThatAreCut_AsksForTheRest()
    {
        var content = new byte[300_000];
        new Random(1).NextBytes(content);
        using var storage = new ScriptedStorage(request =>
        {
            if (request.Method == HttpMethod.Head)
            {
                return ScriptedStorage.Head(content.Length);
            }

            var response = ScriptedStorage.Range(request, content);
            var (range, length) = (response.Content.Headers.ContentRange!, response.Content.Headers.ContentLength);
            // Enough to count as progress, so that nobody waits before the next.
            response.Content = new StreamContent(new MemoryStream(content, (int)range.From!.Value, (int)Math.Min(100_000, length!.Value)));
            (response.Content.Headers.ContentRange, response.Content.Headers.ContentLength) = (range, length);
            return response;
        });
        var options = new RemoteOptions { MaximumRetries = 0 };
        using var client = storage.Client(options);
        using var reading = new RemoteReading(options, TimeProvider.System);
        await using var source = await new S3Place(client, reading, Address.Folder).OpenAsync(Address.Name);
        var read = new byte[content.Length];
        await source.ReadExactlyAsync(0, read);
        Assert.Equal(content, read);
        Assert.Equal(["bytes=0-299999", "bytes=100000-299999", "bytes=200000-299999"], storage.Requests.Skip(1).Select(request => request.Headers.Range!.ToString()));
    }

    [Fact]
    public async Task Source_OfALongRead_AsksForAsManyRangesAtOnceAsThereAreConnections()
    {
        const int connections = 4;
        const int range = 64 << 10;
        var content = new byte[2 * connections * range];
        new Random(2).NextBytes(content);
        var inFlight = 0;
        var most = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var storage = ScriptedStorage.Waiting(async request =>
        {
            if (request.Method == HttpMethod.Head)
            {
                return ScriptedStorage.Head(content.Length);
            }

            var now = Interlocked.Increment(ref inFlight);
            InterlockedMax(ref most, now);
            if (now == connections)
            {
                all.TrySetResult();
            }

            // Nobody is answered before all are asked.
            await all.Task.WaitAsync(TimeSpan.FromSeconds(30));
            Interlocked.Decrement(ref inFlight);
            return ScriptedStorage.Range(request, content);
        });
        var options = new RemoteOptions { MaximumRetries = 0, Connections = connections, RangeBytes = range };
        using var client = storage.Client(options);
        using var reading = new RemoteReading(options, TimeProvider.System);
        await using var source = await new S3Place(client, reading, Address.Folder).OpenAsync(Address.Name);
        var read = new byte[content.Length];
        await source.ReadExactlyAsync(0, read);
        Assert.Equal(content, read);
        Assert.Equal((connections, 1 + (2 * connections)), (most, storage.Requests.Count));
    }

    [Fact]
    public async Task Ask_OfAServerThatIsSlowedDown_IsTriedAgainByTheSdk()
    {
        var answers = 0;
        using var storage = new ScriptedStorage(_ => answers++ == 0 ? ScriptedStorage.Error(HttpStatusCode.ServiceUnavailable, "SlowDown") : ScriptedStorage.Head(200));
        var traffic = new RemoteTraffic();
        using var client = storage.Client(new RemoteOptions { MaximumRetries = 1 }, traffic: traffic);
        Assert.Equal(200, (await S3Object.OpenAsync(client, Address, default)).Length);
        Assert.Equal((2, 2), (storage.Requests.Count, traffic.Requests));
    }

    [Theory]
    [InlineData(HttpStatusCode.ServiceUnavailable, "SlowDown", RemoteFailure.Network, "fewer connections")]
    [InlineData(HttpStatusCode.InternalServerError, "InternalError", RemoteFailure.Network, "500, 'InternalError', also after 0 retries")]
    [InlineData(HttpStatusCode.NotFound, "NoSuchKey", RemoteFailure.EntryMissing, "is the key right?")]
    [InlineData(HttpStatusCode.NotFound, "NoSuchBucket", RemoteFailure.RepositoryMissing, "no bucket 'bucket' at http://storage.test")]
    [InlineData(HttpStatusCode.Forbidden, "AccessDenied", RemoteFailure.Unauthorized, "s3:GetObject and s3:ListBucket")]
    [InlineData(HttpStatusCode.Forbidden, "SignatureDoesNotMatch", RemoteFailure.Unauthorized, "refuses the credentials")]
    [InlineData(HttpStatusCode.Forbidden, "InvalidObjectState", RemoteFailure.EntryMissing, "archived")]
    [InlineData(HttpStatusCode.BadRequest, "ExpiredToken", RemoteFailure.Unauthorized, "renew them")]
    [InlineData(HttpStatusCode.MovedPermanently, "PermanentRedirect", RemoteFailure.Network, "AWS_REGION")]
    [InlineData(HttpStatusCode.MethodNotAllowed, "MethodNotAllowed", RemoteFailure.Network, "is it an object storage?")]
    public async Task OpenRange_OfARefusal_SaysWhatToDo(HttpStatusCode status, string code, RemoteFailure failure, string advice)
    {
        using var storage = new ScriptedStorage(request => request.Method == HttpMethod.Head ? ScriptedStorage.Head(200) : ScriptedStorage.Error(status, code));
        using var client = storage.Client();
        var file = await S3Object.OpenAsync(client, Address, default);
        var exception = await Assert.ThrowsAsync<RemoteException>(() => file.OpenRangeAsync(0, 50, default));
        Assert.Equal((failure, "s3://bucket/a/model.safetensors"), (exception.Failure, exception.Address));
        Assert.Contains(advice, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("verysecret", exception.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("said by the server", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OfAServerThatIsNotThere_SaysSo()
    {
        using var storage = new ScriptedStorage(_ => throw new HttpRequestException("Connection refused (storage.test:80)"));
        using var client = storage.Client();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => S3Object.OpenAsync(client, Address, default));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Contains("http://storage.test cannot be reached: Connection refused", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OfAServerThatDoesNotAnswer_EndsWithTheTimeout()
    {
        using var storage = ScriptedStorage.Waiting(_ => new TaskCompletionSource<HttpResponseMessage>().Task);
        using var client = storage.Client(new RemoteOptions { MaximumRetries = 0, Timeout = TimeSpan.FromMilliseconds(50) });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => S3Object.OpenAsync(client, Address, default));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Contains("has not answered within 0.05 s", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ThatIsCancelled_ThrowsForItsToken()
    {
        using var cancellation = new CancellationTokenSource();
        using var storage = new ScriptedStorage(_ =>
        {
            cancellation.Cancel();
            throw new OperationCanceledException(cancellation.Token);
        });
        using var client = storage.Client();
        var exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => S3Object.OpenAsync(client, Address, cancellation.Token));
        Assert.Equal(cancellation.Token, exception.CancellationToken);
    }

    [Fact]
    public async Task Body_ThatSaysNothingForTheTimeout_ThrowsNetwork()
    {
        var time = new ManualTime();
        using var storage = new ScriptedStorage(request =>
        {
            if (request.Method == HttpMethod.Head)
            {
                return ScriptedStorage.Head(200);
            }

            var response = ScriptedStorage.Range(request, Content);
            var (range, length) = (response.Content.Headers.ContentRange, response.Content.Headers.ContentLength);
            response.Content = new StreamContent(new SilentStream());
            (response.Content.Headers.ContentRange, response.Content.Headers.ContentLength) = (range, length);
            return response;
        });
        using var client = storage.Client(new RemoteOptions { MaximumRetries = 0, Timeout = TimeSpan.FromSeconds(7) }, time: time);
        var file = await S3Object.OpenAsync(client, Address, default);
        await using var body = await file.OpenRangeAsync(0, 50, default);
        var read = body.ReadAsync(new byte[50]).AsTask();
        Assert.False(read.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(7));
        var exception = await Assert.ThrowsAsync<RemoteException>(() => read);
        Assert.Contains("nothing came for 7 s", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ask_WhileOffline_AsksNobody()
    {
        using var storage = new ScriptedStorage(_ => ScriptedStorage.Head(200));
        using var client = storage.Client(new RemoteOptions { Offline = true });
        Assert.Equal(RemoteFailure.Offline, (await Assert.ThrowsAsync<RemoteException>(() => S3Object.OpenAsync(client, Address, default))).Failure);
        Assert.Empty(storage.Requests);
    }

    private static async Task<byte[]> ReadAsync(S3Object file, long offset, int length)
    {
        await using var body = await file.OpenRangeAsync(offset, length, default);
        using var all = new MemoryStream();
        await body.CopyToAsync(all);
        return all.ToArray();
    }

    private static void InterlockedMax(ref int most, int now)
    {
        for (var before = Volatile.Read(ref most); before < now; before = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, now, before);
        }
    }

    private sealed class SilentStream : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(System.Threading.Timeout.InfiniteTimeSpan, cancellationToken);
            return 0;
        }
    }
}
