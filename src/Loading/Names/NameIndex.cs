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
        NameTemplate.Check(ggufName);
        if (!_targets.TryAdd(ggufName, targets))
        {
            throw new ArgumentException($"The map has the GGUF name {Quoted.Name(ggufName)} twice.");
        }

        foreach (var target in targets)
        {
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

    /// <summary>The tensors made from a GGUF tensor; none for one that is left out, null for one that is not known.</summary>
    public ImmutableArray<NameMapTarget>? TargetsOf(string ggufName)
    {
        foreach (var (template, block, expert) in NameTemplate.Of(ggufName))
        {
            if (!IsWithin(block, expert) || !_targets.TryGetValue(template, out var templates))
            {
                continue;
            }

            var targets = ImmutableArray.CreateBuilder<NameMapTarget>(templates.Length);
            foreach (var target in templates)
            {
                if (target.TransformOf(block) is not { } transform)
                {
                    return null;
                }

                targets.Add(new NameMapTarget(Fill(target.Name, block, expert), transform));
            }

            return targets.MoveToImmutable();
        }

        return null;
    }

    /// <summary>The GGUF tensor that a tensor of the checkpoint is made from, or null.</summary>
    public NameMapSource? SourceOf(string name)
    {
        foreach (var (template, block, expert) in NameTemplate.Of(name))
        {
            if (IsWithin(block, expert) && _sources.TryGetValue(template, out var source))
            {
                return source.Target.TransformOf(block) is { } transform
                    ? new NameMapSource(Fill(source.GgufName, block, expert), transform)
                    : null;
            }
        }

        return null;
    }

    private bool IsWithin(int? block, int? expert) => (block ?? -1L) < (blocks ?? long.MaxValue) && (expert ?? -1L) < (experts ?? long.MaxValue);

    private static string Fill(string name, int? block, int? expert)
    {
        name = block is { } b ? NameTemplate.Fill(name, NameTemplate.Block, b) : name;
        return expert is { } e ? NameTemplate.Fill(name, NameTemplate.Expert, e) : name;
    }
}
