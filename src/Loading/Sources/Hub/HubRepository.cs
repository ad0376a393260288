using System.Buffers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A repository of the Hub. Immutable.</summary>
public sealed record HubRepository
{
    // The Hub's own rules for names, as huggingface_hub checks them before it asks.
    private const int LongestName = 96;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary>Names a repository.</summary>
    /// <param name="name"><c>organisation/name</c>, or a <c>name</c> alone.</param>
    /// <param name="kind">What it holds.</param>
    /// <exception cref="ArgumentException">The Hub has no such names; the message says what they are made of.</exception>
    public HubRepository(string name, HubRepositoryKind kind = HubRepositoryKind.Model)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((int)kind, (int)HubRepositoryKind.Space, nameof(kind));
        ThrowIfNoName(name);
        (Name, Kind) = (name, kind);
    }

    /// <summary>Its name: <c>organisation/name</c>, or a <c>name</c> alone.</summary>
    public string Name { get; }

    /// <summary>What it holds.</summary>
    public HubRepositoryKind Kind { get; }

    /// <summary>Its folder in a cache, such as <c>models--organisation--name</c>.</summary>
    public string FolderName => $"{Plural}--{Name.Replace("/", "--", StringComparison.Ordinal)}";

    /// <summary>Where its description is, below the endpoint.</summary>
    internal string ApiPath => $"api/{Plural}/{Name}";

    /// <summary>Where its files are, below the endpoint. Models have no prefix.</summary>
    internal string FilesPath => Kind == HubRepositoryKind.Model ? Name : $"{Plural}/{Name}";

    private string Plural => Kind switch { HubRepositoryKind.Model => "models", HubRepositoryKind.Dataset => "datasets", _ => "spaces" };

    /// <summary>The repository that a folder of a cache is of; null where it is none.</summary>
    /// <param name="folderName">The folder's base name.</param>
    public static HubRepository? OfFolder(string folderName)
    {
        ArgumentNullException.ThrowIfNull(folderName);
        var parts = folderName.Split("--");
        HubRepositoryKind? kind = parts[0] switch { "models" => HubRepositoryKind.Model, "datasets" => HubRepositoryKind.Dataset, "spaces" => HubRepositoryKind.Space, _ => null };
        var name = string.Join('/', parts[1..]);
        return kind is { } known && parts.Length is 2 or 3 && ProblemOf(name) is null ? new HubRepository(name, kind.Value) : null;
    }

    /// <summary>The address, such as <c>hf://datasets/organisation/name</c>.</summary>
    // A model of an organisation that is called as a kind would be taken for one of that kind.
    public override string ToString() =>
        Kind == HubRepositoryKind.Model && Name.Split('/') is ["models" or "datasets" or "spaces", _] ? $"hf://models/{Name}" : $"hf://{FilesPath}";

    private static void ThrowIfNoName(string name)
    {
        if (ProblemOf(name) is { } problem)
        {
            throw new ArgumentException($"{Quoted.Name(name)} is no name of a repository: {problem}. Names are 'organisation/name' or 'name'.", nameof(name));
        }
    }

    private static string? ProblemOf(string name) =>
        name.Count('/') > 1 ? "it has more than one '/'"
        : name.Split('/').Any(part => part.Length is 0 or > LongestName) ? $"a part of it has not 1 to {LongestName} characters"
        : name.Split('/').Any(part => part.AsSpan().ContainsAnyExcept(NameCharacters)) ? "letters and digits of ASCII, '-', '_' and '.' are allowed"
        : name.Split('/').Any(part => part[0] is '-' or '.' || part[^1] is '-' or '.') ? "no part of it begins or ends with '-' or '.'"
        : name.Contains("--", StringComparison.Ordinal) || name.Contains("..", StringComparison.Ordinal) ? "it has '--' or '..'"
        : name.EndsWith(".git", StringComparison.Ordinal) ? "it ends with '.git'"
        : null;
}
