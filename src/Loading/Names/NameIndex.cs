using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds the entry of a name, from either side. Filled by one thread, then safe for any.</summary>
/// <param name="blocks">The number of blocks; null where any number is one.</param>
/// <param name="experts">The number of experts; null where any number is one.</param>
internal sealed class NameIndex(long? blocks = null, long? experts = null)
{
    private readonly Dictionary<string, ImmutableArray<TargetTemplate>> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string GgufName, TargetTemplate Target)> _sources = new(StringComparer.Ordinal);

    /// <summary>Adds an entry.</summary>
    /// <param name="ggufName">The GGUF name.</param>
    /// <param name="targets">The tensors made from it.</param>
    /// <param name="isOlder">Whether a source that is there already goes before this one.</param>
    /// <exception cref="ArgumentException">A name is there already, or the placeholders of the two sides differ.</exception>
    public void Add(string ggufName, ImmutableArray<TargetTemplate> targets, bool isOlder = false)
    {
        if (ggufName.Length == 0)
        {
            throw new ArgumentException("The map has the empty GGUF name '', and every tensor has a name.");
        }

        NameTemplate.Check(ggufName);
        if (!_targets.TryAdd(ggufName, targets))
        {
            throw new ArgumentException($"The map has the GGUF name {Quoted.Name(ggufName)} twice.");
        }

        foreach (var target in targets)
        {
            if (string.IsNullOrEmpty(target.Name))
            {
                throw new ArgumentException($"The map makes a tensor with an empty name of {Quoted.Name(ggufName)}.");
            }

            NameTemplate.Check(target.Name);
            foreach (var placeholder in (ReadOnlySpan<string>)[NameTemplate.Block, NameTemplate.Expert])
            {
                if (NameTemplate.Has(ggufName, placeholder) != NameTemplate.Has(target.Name, placeholder))
                {
                    throw new ArgumentException(
                        $"The GGUF name {Quoted.Name(ggufName)} and the checkpoint's {Quoted.Name(target.Name)} must both have {placeholder}, or neither.");
                }
            }

            if (!_sources.TryAdd(target.Name, (ggufName, target)) && !isOlder)
            {
                var other = _sources[target.Name].GgufName;
                throw new ArgumentException(
                    other == ggufName
                        ? $"The map makes the checkpoint's {Quoted.Name(target.Name)} twice of {Quoted.Name(ggufName)}."
                        : $"The map makes the checkpoint's {Quoted.Name(target.Name)} of two GGUF tensors, {Quoted.Name(other)} and {Quoted.Name(ggufName)}.");
            }
        }
    }

    /// <summary>The entry that a GGUF tensor has, or null where it is not known. No tensor made from it is named yet.</summary>
    public NameMatch? Find(string ggufName)
    {
        foreach (var (template, block, expert) in NameTemplate.Of(ggufName))
        {
            if (IsWithin(block, expert) && _targets.TryGetValue(template, out var targets))
            {
                return targets.All(target => target.TransformOf(block) is not null) ? new NameMatch(template, targets, block, expert) : null;
            }
        }

        return null;
    }

    /// <summary>The GGUF tensor that a tensor of the checkpoint is made from, or null.</summary>
    public NameMapSource? SourceOf(string name)
    {
        foreach (var (template, block, expert) in NameTemplate.Of(name))
        {
            if (IsWithin(block, expert) && _sources.TryGetValue(template, out var source) && source.Target.TransformOf(block) is { } transform)
            {
                // The GGUF name may be another entry's, which goes before this one and makes something else of it, or nothing.
                var ggufName = NameMatch.Fill(source.GgufName, block, expert);
                if (Find(ggufName) is { } match && match.Template == source.GgufName && (match.Block, match.Expert) == (block, expert))
                {
                    return new NameMapSource(ggufName, transform);
                }
            }
        }

        return null;
    }

    private bool IsWithin(int? block, int? expert) => (block ?? -1L) < (blocks ?? long.MaxValue) && (expert ?? -1L) < (experts ?? long.MaxValue);
}
