namespace IlgpuLoader.Formats;

/// <summary>
/// What a file's metadata says about names that share the bytes of one tensor: metadata that no reader need believe, so
/// what is wrong with it is collected and never thrown. Not safe for several threads.
/// </summary>
internal sealed class FileTies
{
    // Enough to see what a writer does wrong; a header of 100 MB could hold millions of bad entries.
    private const int MaximumProblems = 100;

    private readonly List<string> _problems = [];
    private readonly Dictionary<string, string> _targets = [];
    private int _omitted;

    /// <summary>The tensor whose bytes an alias shares, by alias.</summary>
    public IReadOnlyDictionary<string, string> Targets => _targets;

    /// <summary>Whether the file has said nothing at all.</summary>
    public bool IsEmpty => _targets.Count == 0 && _problems.Count == 0;

    /// <summary>What is wrong, in sentences.</summary>
    public IEnumerable<string> Problems =>
        _omitted == 0 ? _problems : [.. _problems, $"{_omitted} more ties are ignored."];

    /// <summary>Adds a tie; the alias must be new.</summary>
    public void Add(string alias, string target) => _targets.Add(alias, target);

    /// <summary>Notes that all of it is ignored.</summary>
    /// <param name="reason">Why, as the end of a sentence.</param>
    public void Refuse(string reason) => _problems.Add($"the ties in the metadata are ignored: {reason}.");

    /// <summary>Notes that one tie is ignored.</summary>
    /// <param name="alias">The alias.</param>
    /// <param name="reason">Why, as the end of a sentence.</param>
    public void Refuse(string alias, string reason)
    {
        if (_problems.Count < MaximumProblems)
        {
            _problems.Add($"the tie of {Quoted.Name(alias)} is ignored: {reason}.");
        }
        else
        {
            _omitted++;
        }
    }
}
