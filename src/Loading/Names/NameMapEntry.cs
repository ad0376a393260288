using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// One line of a caller's own map: a GGUF name and the tensors of the checkpoint that are made from it. Immutable.
/// </summary>
/// <remarks>
/// In the names, a part between dots may be <c>{block}</c> and, further on, <c>{expert}</c>: any number, the same on both sides.
/// An exact name goes before one with placeholders. The parts of one GGUF tensor may overlap, and two may be the same: that is how a
/// map says that two tensors are tied.
/// </remarks>
public sealed class NameMapEntry
{
    /// <summary>Makes an entry of several tensors, each a part of the GGUF tensor.</summary>
    /// <param name="ggufName">The name in the GGUF.</param>
    /// <param name="targets">The tensors made from it; none for one that is known and left out.</param>
    public NameMapEntry(string ggufName, params IEnumerable<NameMapTarget> targets)
    {
        ArgumentNullException.ThrowIfNull(ggufName);
        ArgumentNullException.ThrowIfNull(targets);
        GgufName = ggufName;
        Targets = [.. targets];
    }

    /// <summary>Makes an entry of one tensor.</summary>
    /// <param name="ggufName">The name in the GGUF.</param>
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="transform">What makes it; null for nothing.</param>
    public NameMapEntry(string ggufName, string name, WeightTransform? transform = null)
        : this(ggufName, new NameMapTarget(name, transform ?? WeightTransform.None))
    {
    }

    /// <summary>The name in the GGUF.</summary>
    public string GgufName { get; }

    /// <summary>The tensors made from it.</summary>
    public ImmutableArray<NameMapTarget> Targets { get; }

    /// <summary>Makes an entry of a GGUF tensor that holds all experts of a layer, [experts, …].</summary>
    /// <param name="ggufName">The name in the GGUF.</param>
    /// <param name="name">The name in the checkpoint, with <c>{expert}</c> where the expert's number is.</param>
    /// <param name="experts">How many there are, up to <see cref="GgufNameMapOptions.MaximumExperts"/>'s default.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are none, or too many.</exception>
    /// <exception cref="ArgumentException">The name has no place for the number.</exception>
    public static NameMapEntry SplitExperts(string ggufName, string name, int experts)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(experts);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(experts, GgufNameMapOptions.DefaultMaximumExperts);
        return NameTemplate.Has(name, NameTemplate.Expert)
            ? new NameMapEntry(ggufName, ExpertTargets(name, experts))
            : throw new ArgumentException($"The name {Quoted.Name(name)} of {experts} experts has no part {NameTemplate.Expert}.", nameof(name));
    }

    /// <summary>The experts of one tensor, one target each.</summary>
    internal static IEnumerable<NameMapTarget> ExpertTargets(string name, int experts) =>
        Enumerable.Range(0, experts).Select(expert =>
            new NameMapTarget(NameTemplate.Fill(name, NameTemplate.Expert, expert), WeightTransform.Expert(expert, experts)));
}
