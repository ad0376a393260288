using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Names of files that come from others.</summary>
internal static class RemoteFileName
{
    /// <summary>Whether a name is a base name that leads nowhere else: no separator of any system, no control character, not <c>.</c> and not <c>..</c>.</summary>
    public static bool IsSafe(string name) =>
        name.Length > 0 && name is not ("." or "..") && !name.AsSpan().ContainsAny('/', '\\') && !name.Any(char.IsControl);

    /// <summary>Refuses another name.</summary>
    /// <param name="name">The name.</param>
    /// <param name="address">Where it was to be looked for, for the message.</param>
    /// <exception cref="RemoteException">It is not safe (<see cref="RemoteFailure.Unsafe"/>).</exception>
    public static void ThrowIfUnsafe(string name, string address)
    {
        if (!IsSafe(name))
        {
            throw new RemoteException(RemoteFailure.Unsafe, address, $"{Quoted.Name(name)} is no name of a file here: a name has no separators and no control characters.");
        }
    }
}
