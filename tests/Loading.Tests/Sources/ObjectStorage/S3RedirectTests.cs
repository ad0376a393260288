using System.Net;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The SDK signs anew for whatever host a redirect names; who is let through to it, and answers that stall.</summary>
public sealed class S3RedirectTests
{
    private const string Amazon = "https://s3.eu-west-1.amazonaws.com";

    private static readonly S3Address Address = new("bucket", "a/model.safetensors");

    [Theory]
    [InlineData("http://storage.test", "http://other.test/bucket/a")]
    [InlineData("http://storage.test", "http://storage.test/bucket/a")]
    [InlineData("http://storage.test", "http://storage.test:81/bucket/a")]
    [InlineData("http://storage.test", "/bucket/a")]
    [InlineData("http://storage.test", "file:///etc/passwd")]
    [InlineData("http://storage.test", "http://[")]
    [InlineData("http://storage.test", "https://bucket.s3.us-west-2.amazonaws.com/a")]
    [InlineData(Amazon, "http://bucket.s3.us-west-2.amazonaws.com/a")]
    [InlineData(Amazon, "https://amazonaws.com.other.test/a")]
    [InlineData(Amazon, "https://otheramazonaws.com/a")]
    [InlineData(Amazon, "https://bucket.s3.us-west-2.amazonaws.com:8443/a")]
    [InlineData(Amazon, Amazon + "/bucket/a")]
    public async Task Get_OfARedirectOutOfAmazon_AsksNobodyElse(string endpoint, string location)
    {
        using var storage = new ScriptedStorage(_ => Redirect(location));
        using var client = storage.Client(settings: ScriptedStorage.Settings with { Endpoint = new Uri(endpoint) });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => client.GetAsync(Address, 0, 10, null, null, default));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Contains("another region", exception.Message, StringComparison.Ordinal);
        Assert.Single(storage.Requests);
    }

    [Fact]
    public async Task Get_OfARedirectWithinAmazon_IsFollowed()
    {
        using var storage = new ScriptedStorage(request =>
            request.RequestUri!.Host.Contains("us-west-2", StringComparison.Ordinal) ? ScriptedStorage.Range(request, new byte[20]) : Redirect("https://s3.us-west-2.amazonaws.com/bucket/a/model.safetensors"));
        using var client = storage.Client(settings: ScriptedStorage.Settings with { Endpoint = new Uri(Amazon) });
        using var response = await client.GetAsync(Address, 0, 10, null, null, default);
        Assert.Equal(10, response.ContentLength);
        Assert.Equal(2, storage.Requests.Count);
    }

    [Fact]
    public async Task Get_OfRedirectsWithoutEnd_Ends()
    {
        var answers = 0;
        using var storage = new ScriptedStorage(_ => Redirect($"https://s3.region-{++answers}.amazonaws.com/bucket/a"));
        using var client = storage.Client(new RemoteOptions { MaximumRetries = 0, MaximumRedirects = 3 }, ScriptedStorage.Settings with { Endpoint = new Uri(Amazon) });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => client.GetAsync(Address, 0, 10, null, null, default));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Equal(4, storage.Requests.Count);
    }

    [Fact]
    public async Task List_WhoseAnswerStalls_EndsWithTheTimeout()
    {
        using var storage = new ScriptedStorage(_ => new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new StallingStream()) });
        using var client = storage.Client(new RemoteOptions { MaximumRetries = 0, Timeout = TimeSpan.FromMilliseconds(50) });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => client.MayListAsync(new S3Address("bucket", "a"), default));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Contains("has not answered within 0.05 s", exception.Message, StringComparison.Ordinal);
    }

    private static HttpResponseMessage Redirect(string location)
    {
        var response = ScriptedStorage.Error(HttpStatusCode.TemporaryRedirect, "TemporaryRedirect");
        Assert.True(response.Headers.TryAddWithoutValidation("Location", location));
        return response;
    }

    private sealed class StallingStream : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(System.Threading.Timeout.InfiniteTimeSpan, cancellationToken);
            return 0;
        }
    }
}
