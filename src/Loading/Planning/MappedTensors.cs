using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds what need not be loaded where files are mapped: tensors and blocks that are kept as they are stored, and whose bytes lie side by
/// side in a local file. They become views of the mapping.
/// </summary>
internal static class MappedTensors
{
    /// <summary>Marks the tensors, with those that are tied to them or views of a block, and gives the blocks, marked.</summary>
    public static ImmutableArray<PlannedBlock> Mark(ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedBlock> blocks)
    {
        blocks = [.. blocks.Select(block => CanBeMapped(block.Memory) ? block with { Memory = block.Memory with { IsMapped = true } } : block)];
        for (var i = 0; i < tensors.Count; i++)
        {
            var tensor = tensors[i];
            if (tensor.Block is { } block ? blocks[block].Memory.IsMapped : tensor.TiedTo is { } first ? tensors[first].IsMapped : CanBeMapped(tensor))
            {
                tensors[i] = tensor with { IsMapped = true };
            }
        }

        return blocks;
    }

    /// <summary>Makes runs that are decoded from the mapping of what needs no slot.</summary>
    /// <param name="runs">The runs of a plan for the host.</param>
    /// <param name="files">The files of its checkpoint.</param>
    public static ImmutableArray<ReadRun> WithoutSlots(ImmutableArray<ReadRun> runs, ImmutableArray<CheckpointFile> files) =>
        [.. runs.Select(run => run.Kind == RunKind.Staged && files[run.File].Source.FindFileRange(run.Offset, run.ByteLength) is not null ? run with { Kind = RunKind.Mapped } : run)];

    private static bool CanBeMapped(PlannedTensor tensor) =>
        tensor.DType == tensor.Source.DType
        && tensor.Range is var (offset, length)
        && tensor.Source.File.Source.FindFileRange(offset, length) is not null;
}
