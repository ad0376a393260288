using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What addresses are called in messages.</summary>
internal static class RemoteName
{
    /// <summary>
    /// The address without its user, its query and its fragment: signed addresses carry secrets there.
    /// </summary>
    /// <param name="address">An absolute address.</param>
    public static string Of(Uri address) => Quoted.Plain(AddressScheme.WithoutSecrets(address));

    /// <summary>Whether two addresses have one scheme, host and port: what a token is given to.</summary>
    public static bool IsSameOrigin(Uri one, Uri other) =>
        one.Port == other.Port
        && string.Equals(one.Scheme, other.Scheme, StringComparison.OrdinalIgnoreCase)
        && string.Equals(one.IdnHost, other.IdnHost, StringComparison.OrdinalIgnoreCase);
}
