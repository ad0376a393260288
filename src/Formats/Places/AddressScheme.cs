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
}
