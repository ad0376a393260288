using System.Text;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Holds the addresses that a server is to listen on against the rules, before anything is opened.</summary>
internal static class ServerAddresses
{
    private const string Key = $"{HttpOptions.SectionName}:{nameof(HttpOptions.Urls)}";

    // sun_path of unix(7) has 108 bytes with the zero at its end.
    private const int LongestSocketPath = 107;

    /// <summary>The single addresses of a text.</summary>
    public static string[] Split(string urls) => urls.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Whether an address is of <c>https</c>.</summary>
    public static bool IsSecure(string url) => url.StartsWith("https:", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether any of right addresses is reached by others than this machine.</summary>
    public static bool AreReachedByOthers(string urls) => !ListenAddresses.Of(urls).IsLoopbackOnly;

    /// <summary>What is wrong with them, a sentence each.</summary>
    /// <param name="options">The options.</param>
    /// <param name="hasToken">Whether there is a token.</param>
    public static IEnumerable<string> Problems(HttpOptions options, bool hasToken)
    {
        var urls = Split(options.Urls);
        if (urls.Length == 0)
        {
            yield return $"{Key}: there is no address to listen on";
        }

        foreach (var url in urls)
        {
            if (ProblemOf(url, options, hasToken) is { } problem)
            {
                yield return $"{Key}: {url} {problem}";
            }
        }
    }

    private static string? ProblemOf(string url, HttpOptions options, bool hasToken)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url);
        }
        catch (Exception exception) when (exception is FormatException or InvalidOperationException)
        {
            return "is no address such as http://127.0.0.1:5070, http://unix:/run/ilgpu-loader.sock or https://*:8443";
        }

        if (address.Scheme is not ("http" or "https"))
        {
            return "is neither of http nor of https";
        }

        if (address.PathBase.Length > 0)
        {
            return "has a path, and a server listens at the root";
        }

        if (address is { Port: 0, IsUnixPipe: false } && string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase))
        {
            return "has two addresses, and the system chooses a port for one: ask for 127.0.0.1:0, for [::1]:0, or for both";
        }

        if (address.IsUnixPipe && address.UnixPipePath is var path && Encoding.UTF8.GetByteCount(path) > LongestSocketPath)
        {
            return $"has a path of more than {LongestSocketPath} bytes, which no socket has";
        }

        if (IsSecure(url) && options.CertificateFile is null)
        {
            return $"is of https and there is no certificate: set {HttpOptions.SectionName}:{nameof(HttpOptions.CertificateFile)}";
        }

        return ListenAddresses.IsLoopback(address) || hasToken
            ? null
            : $"is reached by others than this machine, which takes a token: give one (--token-file, {HttpOptions.SectionName}:{nameof(HttpOptions.TokenFile)}, {ServerConfiguration.TokenVariable}), or listen on 127.0.0.1";
    }
}
