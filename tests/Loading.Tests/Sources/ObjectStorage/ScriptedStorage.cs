using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Amazon.Runtime;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Answers the requests of the SDK as a test says, and keeps them. Nothing is sent. Safe for any thread.</summary>
internal sealed class ScriptedStorage : HttpMessageHandler
{
    private readonly ConcurrentQueue<HttpRequestMessage> _requests = [];
    private readonly Func<HttpRequestMessage, Task<HttpResponseMessage>> _answer;

    /// <summary>Answers at once.</summary>
    public ScriptedStorage(Func<HttpRequestMessage, HttpResponseMessage> answer) => _answer = request => Task.FromResult(answer(request));

    private ScriptedStorage(Func<HttpRequestMessage, Task<HttpResponseMessage>> answer) => _answer = answer;

    /// <summary>What was asked, in order.</summary>
    public IReadOnlyList<HttpRequestMessage> Requests => [.. _requests];

    /// <summary>Credentials, an endpoint that nobody has, and nothing of the environment.</summary>
    public static S3Settings Settings { get; } = new() { Endpoint = new Uri("http://storage.test"), Credentials = new BasicAWSCredentials("AKIAEXAMPLE", "verysecret") };

    /// <summary>Answers when it is time.</summary>
    public static ScriptedStorage Waiting(Func<HttpRequestMessage, Task<HttpResponseMessage>> answer) => new(answer);

    /// <summary>A storage that this answers.</summary>
    public S3Client Client(RemoteOptions? options = null, S3Settings? settings = null, RemoteTraffic? traffic = null, TimeProvider? time = null) =>
        new(options ?? new RemoteOptions { MaximumRetries = 0 }, settings ?? Settings, traffic ?? new RemoteTraffic(), time, this);

    /// <summary>What HEAD answers of an object.</summary>
    public static HttpResponseMessage Head(long length, string etag = "\"one\"", string? version = null)
    {
        var response = new HttpResponseMessage(HttpStatusCode.OK) { Content = new ByteArrayContent([]) };
        response.Content.Headers.ContentLength = length;
        response.Headers.ETag = EntityTagHeaderValue.Parse(etag);
        if (version is not null)
        {
            response.Headers.Add("x-amz-version-id", version);
        }

        return response;
    }

    /// <summary>What GET answers of a range.</summary>
    public static HttpResponseMessage Range(HttpRequestMessage request, byte[] content, string etag = "\"one\"", long? total = null)
    {
        var range = request.Headers.Range!.Ranges.Single();
        var (from, to) = ((int)range.From!.Value, (int)range.To!.Value);
        var response = new HttpResponseMessage(HttpStatusCode.PartialContent) { Content = new ByteArrayContent(content[from..(to + 1)]) };
        response.Content.Headers.ContentRange = new ContentRangeHeaderValue(from, to, total ?? content.Length);
        response.Headers.ETag = EntityTagHeaderValue.Parse(etag);
        return response;
    }

    /// <summary>An error as S3 writes it.</summary>
    public static HttpResponseMessage Error(HttpStatusCode status, string code) => new(status)
    {
        Content = new StringContent($"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>said by the server</Message></Error>", Encoding.UTF8, "application/xml"),
    };

    /// <summary>A page of a listing.</summary>
    public static HttpResponseMessage Page(IEnumerable<string> keys, string? next = null, bool isTruncated = false)
    {
        var text = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        foreach (var key in keys)
        {
            _ = text.Append(CultureInfo.InvariantCulture, $"<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        }

        _ = text.Append(next is null ? "" : $"<NextContinuationToken>{next}</NextContinuationToken>").Append(CultureInfo.InvariantCulture, $"<IsTruncated>{(isTruncated || next is not null ? "true" : "false")}</IsTruncated></ListBucketResult>");
        return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(text.ToString(), Encoding.UTF8, "application/xml") };
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _requests.Enqueue(request);
        var response = await _answer(request).WaitAsync(cancellationToken);
        response.RequestMessage = request;
        return response;
    }
}
