using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>An address of the Hub: <c>hf://organisation/name[@revision][/path]</c>, <c>hf://name[@revision]</c>, <c>hf://name@revision/path</c>, <c>hf://datasets/organisation/name</c>. Immutable.</summary>
/// <param name="Repository">The repository.</param>
/// <param name="Revision">The branch, tag or commit that is asked for; null for the main branch.</param>
/// <param name="Path">A file or folder in it, without slashes at its ends; empty for its root.</param>
public sealed record HubAddress(HubRepository Repository, string? Revision, string Path)
{
    /// <summary>What addresses look like, for messages.</summary>
    public const string Form = "hf://organisation/name[@revision][/path]";

    private const string Scheme = "hf";

    /// <summary>Reads an address. A revision with slashes is written with <c>%2F</c>, or as it stands where it is <c>refs/pr/NUMBER</c> or <c>refs/convert/NAME</c>.</summary>
    /// <param name="address">The address; without a scheme it is the part behind <c>hf://</c>.</param>
    /// <exception cref="ArgumentException">It is none.</exception>
    /// <exception cref="RemoteException">Its revision or path leads where it must not.</exception>
    public static HubAddress Parse(string address)
    {
        ArgumentException.ThrowIfNullOrEmpty(address);
        var rest = address;
        if (AddressScheme.Of(address) is { } scheme)
        {
            rest = scheme == Scheme ? address[(Scheme.Length + 3)..] : throw new ArgumentException($"{Quoted.Name(address)} is no address of the Hub, which are {Form}.", nameof(address));
        }

        var parts = rest.TrimEnd('/').Split('/').ToList();
        var kind = TakeKind(parts);
        // A name alone cannot be told from an organisation where more follows, unless the revision ends it.
        var ofName = parts[0].Contains('@', StringComparison.Ordinal) ? 1 : Math.Min(2, parts.Count);
        var name = string.Join('/', parts.Take(ofName));
        parts.RemoveRange(0, ofName);
        string? revision = null;
        if (name.IndexOf('@', StringComparison.Ordinal) is var at and >= 0)
        {
            revision = name[(at + 1)..];
            name = name[..at];
            revision = Uri.UnescapeDataString(TakeReference(revision, parts));
            HubName.CheckRevision(revision, address);
        }

        var path = string.Join('/', parts);
        if (path.Length > 0)
        {
            HubName.CheckPath(path, address);
        }

        return new HubAddress(new HubRepository(name, kind), revision, path);
    }

    /// <summary>The address, which <see cref="Parse"/> takes for the same repository, revision and path: where a path follows a name without an organisation, the main branch is written too, since the name would be taken for one.</summary>
    public override string ToString()
    {
        var revision = Revision ?? (Path.Length > 0 && !Repository.Name.Contains('/', StringComparison.Ordinal) ? HubClient.MainRevision : null);
        return Repository + (revision is null ? "" : $"@{Uri.EscapeDataString(revision)}") + (Path.Length == 0 ? "" : $"/{Path}");
    }

    private static HubRepositoryKind TakeKind(List<string> parts)
    {
        HubRepositoryKind? kind = parts[0] switch { "models" => HubRepositoryKind.Model, "datasets" => HubRepositoryKind.Dataset, "spaces" => HubRepositoryKind.Space, _ => null };
        if (kind is null || parts.Count == 1)
        {
            return HubRepositoryKind.Model;
        }

        parts.RemoveAt(0);
        return kind.Value;
    }

    private static string TakeReference(string revision, List<string> parts)
    {
        if (revision != "refs" || parts.Count < 2 || parts[0] is not ("pr" or "convert"))
        {
            return revision;
        }

        revision = $"refs/{parts[0]}/{parts[1]}";
        parts.RemoveRange(0, 2);
        return revision;
    }
}
