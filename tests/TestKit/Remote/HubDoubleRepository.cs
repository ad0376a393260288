namespace IlgpuLoader.TestKit;

/// <summary>A repository of a <see cref="HubDouble"/>.</summary>
public sealed class HubDoubleRepository
{
    private readonly Dictionary<string, Dictionary<string, HubDoubleFile>> _commits = [];
    private readonly Dictionary<string, string> _refs = [];

    /// <summary>Who may see it: those with this token; null for everybody.</summary>
    public string? Token { get; set; }

    /// <summary>Whether its conditions are to be accepted first.</summary>
    public bool IsGated { get; set; }

    /// <summary>Whether the listing fails, though files are given.</summary>
    public int? ListingStatus { get; set; }

    /// <summary>Names that are listed besides its files.</summary>
    public IList<string> ListedBesides { get; } = [];

    /// <summary>The commit that is said in place of the true one; null for the true one.</summary>
    public string? SaidCommit { get; set; }

    /// <summary>The commits that refs mean.</summary>
    public IReadOnlyDictionary<string, string> Refs => _refs;

    /// <summary>Adds a file to a commit.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="path">The file's path.</param>
    /// <param name="content">What it holds.</param>
    /// <param name="isLarge">Whether it is stored on another host, and named by its SHA-256.</param>
    public HubDoubleFile Add(string commit, string path, RemoteContent content, bool isLarge = false)
    {
        var file = new HubDoubleFile(content, isLarge);
        (_commits.TryGetValue(commit, out var files) ? files : _commits[commit] = new(StringComparer.Ordinal))[path] = file;
        return file;
    }

    /// <inheritdoc cref="Add(string, string, RemoteContent, bool)"/>
    public HubDoubleFile Add(string commit, string path, byte[] content, bool isLarge = false) => Add(commit, path, new RemoteContent(content), isLarge);

    /// <summary>Lets a branch or tag mean a commit.</summary>
    public void SetRef(string name, string commit) => _refs[name] = commit;

    internal string? Resolve(string revision) => _commits.ContainsKey(revision) ? revision : _refs.GetValueOrDefault(revision);

    internal IReadOnlyDictionary<string, HubDoubleFile> FilesOf(string commit) => _commits[commit];
}
