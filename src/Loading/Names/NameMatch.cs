using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>The entry of a map that a GGUF name has.</summary>
/// <param name="Template">The entry's GGUF name, with placeholders.</param>
/// <param name="Templates">The tensors made from it, with placeholders.</param>
/// <param name="Block">What stands for the block, where the entry has a placeholder for it.</param>
/// <param name="Expert">What stands for the expert, where the entry has a placeholder for it.</param>
internal sealed record NameMatch(string Template, ImmutableArray<TargetTemplate> Templates, int? Block, int? Expert)
{
    /// <summary>The tensors made from the GGUF tensor, each named when it is asked for; none for one that is left out.</summary>
    public IEnumerable<NameMapTarget> Targets =>
        Templates.Select(target => new NameMapTarget(
            Fill(target.Name, Block, Expert),
            target.TransformOf(Block) ?? throw new InvalidOperationException($"Block {Block} has no {target.Name}, and was found all the same.")));

    /// <summary>A name with numbers in the places of its placeholders.</summary>
    public static string Fill(string name, int? block, int? expert)
    {
        name = block is { } b ? NameTemplate.Fill(name, NameTemplate.Block, b) : name;
        return expert is { } e ? NameTemplate.Fill(name, NameTemplate.Expert, e) : name;
    }
}
