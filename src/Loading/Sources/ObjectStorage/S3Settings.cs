using Amazon.Runtime;

namespace IlgpuLoader.Loading;

/// <summary>Where an object storage is, and as whom it is asked. Nothing secret is in it: credentials come from the chain of the AWS SDK. Immutable.</summary>
public sealed record S3Settings
{
    /// <summary>The region that requests are signed for where an endpoint is given and no region: what servers of their own take.</summary>
    public const string DefaultRegion = "us-east-1";

    /// <summary>The default of <see cref="MaximumKeys"/>: a hundred of S3's pages, and ten times the files of the largest published checkpoints.</summary>
    public const int DefaultMaximumKeys = 100_000;

    // In the order in which the AWS SDKs read them.
    private static readonly string[] EndpointVariables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    private static readonly string[] RegionVariables = ["AWS_REGION", "AWS_DEFAULT_REGION"];

    /// <summary>Amazon's own storage, with the region and the credentials of the SDK's chain.</summary>
    public static S3Settings Default { get; } = new();

    /// <summary>The server's address, <c>http</c> or <c>https</c> without a user and a query; null for Amazon's.</summary>
    /// <exception cref="ArgumentException">It is another address.</exception>
    public Uri? Endpoint
    {
        get;
        init
        {
            ThrowIfNoEndpoint(value, nameof(Endpoint));
            field = value;
        }
    }

    /// <summary>The region, such as <c>eu-central-1</c>; null for that of the SDK's chain, or <see cref="DefaultRegion"/> where an endpoint is given.</summary>
    public string? Region { get; init; }

    /// <summary>Whether the bucket is the first part of the path instead of the host's name; null (default): where an endpoint is given, since servers of their own rarely have a name for each bucket.</summary>
    public bool? PathStyle { get; init; }

    /// <summary>Whether requests are not signed, as public buckets take them. Default: false, the SDK's chain of credentials (environment, profile, container, instance).</summary>
    public bool IsAnonymous { get; init; }

    /// <summary>How many keys a listing may have, at least 1: who names a whole bucket by mistake is told so.</summary>
    public int MaximumKeys
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = DefaultMaximumKeys;

    /// <summary>Credentials of tests; null for the chain. Not printed.</summary>
    internal AWSCredentials? Credentials { get; init; }

    /// <summary>Whether the bucket is the first part of the path.</summary>
    internal bool UsesPathStyle => PathStyle ?? Endpoint is not null;

    /// <summary>
    /// What the environment says: <c>AWS_ENDPOINT_URL_S3</c>, else <c>AWS_ENDPOINT_URL</c>; <c>AWS_REGION</c>, else <c>AWS_DEFAULT_REGION</c>. An empty variable is none.
    /// </summary>
    /// <param name="variables">Reads a variable; null for those of the process.</param>
    /// <exception cref="ArgumentException">An endpoint is no address; the message names the variable and does not show what it holds.</exception>
    public static S3Settings FromEnvironment(Func<string, string?>? variables = null)
    {
        variables ??= Environment.GetEnvironmentVariable;
        var endpoint = First(EndpointVariables);
        Uri? address = null;
        if (endpoint is var (name, text))
        {
            // What is no address may hold anything.
            address = Uri.TryCreate(text, UriKind.Absolute, out var parsed) ? parsed : throw new ArgumentException($"{name} is no address; it is to be one such as https://storage.example.com.", nameof(variables));
            ThrowIfNoEndpoint(address, name);
        }

        return new S3Settings { Endpoint = address, Region = First(RegionVariables)?.Value };

        (string Name, string Value)? First(string[] names) =>
            names.Select(name => (Name: name, Value: variables(name))).Where(entry => !string.IsNullOrEmpty(entry.Value)).Select(entry => ((string, string)?)(entry.Name, entry.Value!)).FirstOrDefault();
    }

    private static void ThrowIfNoEndpoint(Uri? endpoint, string name)
    {
        if (endpoint is null)
        {
            return;
        }

        if (!endpoint.IsAbsoluteUri || (endpoint.Scheme != Uri.UriSchemeHttp && endpoint.Scheme != Uri.UriSchemeHttps) || endpoint.UserInfo.Length > 0 || endpoint.Query.Length > 0 || endpoint.Fragment.Length > 0)
        {
            throw new ArgumentException(
                $"{name} is to be an http or https address without a user and a query, such as https://storage.example.com; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.", name);
        }
    }
}
