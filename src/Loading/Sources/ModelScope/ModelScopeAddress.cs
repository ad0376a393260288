using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>An address of ModelScope: <c>ms://owner/name[@revision][/path]</c>. Immutable.</summary>
/// <param name="Model">The model, <c>owner/name</c>.</param>
/// <param name="Revision">The branch or tag that is asked for; null for the main branch.</param>
/// <param name="Path">A file or folder in it, without slashes at its ends; empty for its root.</param>
public sealed record ModelScopeAddress(string Model, string? Revision, string Path)
{
    /// <summary>What addresses look like, for messages.</summary>
    public const string Form = "ms://owner/name[@revision][/path]";

    private const string Scheme = "ms";

    /// <summary>Reads an address. A revision with slashes is written with <c>%2F</c>.</summary>
    /// <param name="address">The address; without a scheme it is the part behind <c>ms://</c>.</param>
    /// <exception cref="ArgumentException">It is none.</exception>
    /// <exception cref="RemoteException">Its revision or path leads where it must not.</exception>
    public static ModelScopeAddress Parse(string address)
    {
        ArgumentException.ThrowIfNullOrEmpty(address);
        var rest = AddressScheme.Of(address) is null or Scheme ? address[(address.IndexOf("://", StringComparison.Ordinal) is var at and >= 0 ? at + 3 : 0)..] : "";
        var parts = rest.TrimEnd('/').Split('/');
        if (parts.Length < 2)
        {
            throw new ArgumentException($"{Quoted.Name(address)} is no address of ModelScope, which are {Form}.", nameof(address));
        }

        var named = parts[1].Split('@', 2);
        // Names are made as the Hub's are.
        var model = new HubRepository($"{parts[0]}/{named[0]}").Name;
        var revision = named.Length == 2 ? Uri.UnescapeDataString(named[1]) : null;
        if (revision is not null)
        {
            HubName.CheckRevision(revision, address);
        }

        var path = string.Join('/', parts[2..]);
        if (path.Length > 0)
        {
            HubName.CheckPath(path, address);
        }

        return new ModelScopeAddress(model, revision, path);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Scheme}://{Model}" + (Revision is null ? "" : $"@{Uri.EscapeDataString(Revision)}") + (Path.Length == 0 ? "" : $"/{Path}");
}
