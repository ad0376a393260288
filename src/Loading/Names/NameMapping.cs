using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>What a map makes of the tensors of one GGUF file. Immutable and safe for any thread.</summary>
public sealed class NameMapping
{
    private readonly Dictionary<string, MappedTensor> _byName;
    private readonly ILookup<string, MappedTensor> _byGgufName;

    internal NameMapping(
        IReadOnlyList<MappedTensor> tensors,
        Dictionary<string, MappedTensor> byName,
        IEnumerable<string> unmapped,
        IEnumerable<string> leftOut,
        ImmutableArray<NameTie> ties,
        IEnumerable<string>? expected,
        Func<string, bool> isCheckpointOnly)
    {
        Tensors = [.. tensors];
        Unmapped = [.. unmapped];
        LeftOut = [.. leftOut];
        Ties = ties;
        _byName = byName;
        _byGgufName = Tensors.ToLookup(tensor => tensor.GgufName, StringComparer.Ordinal);
        if (expected is not null)
        {
            var names = expected.ToHashSet(StringComparer.Ordinal);
            var without = names
                .Where(name => !byName.ContainsKey(name) && !ties.Any(tie => tie.Name == name))
                .Order(StringComparer.Ordinal)
                .ToLookup(isCheckpointOnly);
            (Missing, NotStored) = ([.. without[false]], [.. without[true]]);
            Unexpected = [.. Tensors.Select(tensor => tensor.Name).Where(name => !names.Contains(name))];
        }
    }

    /// <summary>The tensors of the checkpoint, in the order of the GGUF file and, within one of its tensors, of the map.</summary>
    public ImmutableArray<MappedTensor> Tensors { get; }

    /// <summary>The GGUF tensors that have no name in the checkpoint, in the order of the file.</summary>
    public ImmutableArray<string> Unmapped { get; }

    /// <summary>
    /// The GGUF tensors that are known and no tensor of the checkpoint, such as <c>rope_freqs.weight</c>, in the order of the file.
    /// </summary>
    public ImmutableArray<string> LeftOut { get; }

    /// <summary>The tensors of the checkpoint that are another, since the file does not store them.</summary>
    public ImmutableArray<NameTie> Ties { get; }

    /// <summary>The expected names that nothing in the file makes, in ordinal order; none where no names were given.</summary>
    public ImmutableArray<string> Missing { get; } = [];

    /// <summary>
    /// The expected names that no GGUF stores, since models compute them (<c>rotary_emb.inv_freq</c>), in ordinal order; none
    /// where no names were given.
    /// </summary>
    public ImmutableArray<string> NotStored { get; } = [];

    /// <summary>The names in <see cref="Tensors"/> that were not expected, such as a copied output; none where no names were given.</summary>
    public ImmutableArray<string> Unexpected { get; } = [];

    /// <summary>Finds a tensor of the checkpoint.</summary>
    public bool TryGet(string name, [NotNullWhen(true)] out MappedTensor? tensor) => _byName.TryGetValue(name, out tensor);

    /// <summary>The tensors that are made from a GGUF tensor; none for one that is unmapped or left out.</summary>
    public IEnumerable<MappedTensor> OfGguf(string ggufName) => _byGgufName[ggufName];
}
