using System.Buffers;

namespace IlgpuLoader.Formats;

/// <summary>Tells addresses (<c>scheme://…</c>) from paths.</summary>
public static class AddressScheme
{
    // RFC 3986, 3.1.
    private static readonly SearchValues<char> Characters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    /// <summary>The scheme of an address in lower case, such as <c>hf</c>; null of a path. A drive of Windows is no scheme.</summary>
    /// <param name="pathOrAddress">What a user gave.</param>
    public static string? Of(string pathOrAddress)
    {
        ArgumentNullException.ThrowIfNull(pathOrAddress);
        var end = pathOrAddress.IndexOf("://", StringComparison.Ordinal);
        return end > 1 && char.IsAsciiLetter(pathOrAddress[0]) && !pathOrAddress.AsSpan(0, end).ContainsAnyExcept(Characters)
            ? pathOrAddress[..end].ToLowerInvariant()
            : null;
    }

    /// <summary>
    /// What an address is called in messages, logs and documents: without its user, its query and its fragment, where signed addresses carry secrets. Paths stay as they are, and so do the names of repositories,
    /// in which an <c>@</c> begins a revision, and the keys of an object storage, which have no query.
    /// </summary>
    /// <param name="pathOrAddress">What a user gave.</param>
    public static string WithoutSecrets(string pathOrAddress)
    {
        var scheme = Of(pathOrAddress);
        return scheme switch
        {
            null or "hf" or "ms" => pathOrAddress,
            "s3" => WithoutUser(pathOrAddress),
            _ => Uri.TryCreate(pathOrAddress, UriKind.Absolute, out var address) ? WithoutSecrets(address)
                // Nobody can tell what of it is a password.
                : $"{scheme}://…",
        };
    }

    /// <inheritdoc cref="WithoutSecrets(string)"/>
    /// <param name="address">An absolute address.</param>
    internal static string WithoutSecrets(Uri address) =>
        address.GetComponents(UriComponents.Scheme | UriComponents.Host | UriComponents.Port | UriComponents.Path, UriFormat.UriEscaped);

    private static string WithoutUser(string address)
    {
        var start = address.IndexOf("://", StringComparison.Ordinal) + 3;
        var end = address.IndexOf('/', start);
        var at = address.LastIndexOf('@', (end < 0 ? address.Length : end) - 1);
        return at < start ? address : address[..start] + address[(at + 1)..];
    }
}
