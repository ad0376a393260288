using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Checkpoints on HTTP servers: <c>https://host/folder/model.safetensors</c>, or <c>https://host/folder/</c> for what lies there under a usual name. Safe for any thread.</summary>
/// <param name="http">Sends the requests.</param>
/// <param name="reading">Reads ranges.</param>
internal sealed class HttpScheme(RemoteHttp http, RemoteReading reading) : IRemoteScheme
{
    /// <summary>What addresses look like, for messages.</summary>
    public const string AddressForm = "https://host/path/file, https://host/path/";

    /// <inheritdoc/>
    public IReadOnlyList<string> Schemes { get; } = [Uri.UriSchemeHttps, Uri.UriSchemeHttp];

    /// <inheritdoc/>
    public string Form => AddressForm;

    /// <inheritdoc/>
    /// <exception cref="RemoteException">The file's name is none (<see cref="RemoteFailure.Unsafe"/>).</exception>
    public ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (folder, name, file) = Parse(address);
        return new ValueTask<CheckpointLocation>(new CheckpointLocation(new HttpPlace(http, reading, folder, name, file), name));
    }

    /// <summary>Reads an address.</summary>
    /// <returns>The folder; and the file's name in it and its address with the query, or null for both where the folder itself is meant.</returns>
    /// <exception cref="ArgumentException">It is none.</exception>
    /// <exception cref="RemoteException">The file's name is none (<see cref="RemoteFailure.Unsafe"/>).</exception>
    public static (Uri Folder, string? Name, Uri? File) Parse(string address)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var parsed))
        {
            throw new ArgumentException($"{Quoted.Name(AddressScheme.WithoutSecrets(address))} is no address; it should look like {AddressForm}.", nameof(address));
        }

        RemoteHttp.ThrowIfNotAddress(parsed);
        var path = parsed.AbsolutePath;
        // Not by the path: one that begins with two slashes would name another host.
        var folder = new Uri(parsed, "./");
        var name = Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..]);
        if (name.Length == 0)
        {
            return parsed.Query.Length == 0
                ? (folder, null, null)
                : throw new ArgumentException($"{RemoteName.Of(parsed)} is a folder with a query, which belongs to no file; give the address of a file.", nameof(address));
        }

        RemoteFileName.ThrowIfUnsafe(name, RemoteName.Of(folder));
        return (folder, name, new Uri(parsed.GetLeftPart(UriPartial.Query)));
    }
}
