using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds tensors that have the same part of the same storage: the first of them is read, the others are tied to it. Two
/// that take different parts, or see the storage as different dtypes, are read by themselves.
/// </summary>
internal static class TiedStorage
{
    // The shape counts only with a slice or strides: elements side by side are the same in any shape.
    private readonly record struct Part(ElementPlace Place, TensorSlice? Slice, Shape Shape);

    /// <summary>Ties each tensor to the first that it can share with.</summary>
    public static void Tie(ImmutableArray<PlannedTensor>.Builder tensors)
    {
        // Most checkpoints share nothing, and seeing that costs less than looking every tensor up.
        if (!HasOverlaps(tensors))
        {
            return;
        }

        var first = new Dictionary<Part, int>();
        for (var i = 0; i < tensors.Count; i++)
        {
            var (source, slice) = (tensors[i].Source, tensors[i].Slice);
            var part = new Part(ElementPlace.Of(source), slice, slice is null && source.IsContiguous ? Shape.Scalar : source.Shape);
            // Where there are no bytes nothing is shared: any number of empty tensors begin at one offset.
            if (tensors[i].SourceByteLength > 0 && !first.TryAdd(part, i))
            {
                tensors[i] = tensors[i] with { TiedTo = first[part] };
            }
        }
    }

    // Whether a tensor may begin before the end of an earlier one of its file.
    private static bool HasOverlaps(ImmutableArray<PlannedTensor>.Builder tensors)
    {
        var files = new HashSet<CheckpointFile>();
        CheckpointFile? current = null;
        long end = 0;
        foreach (var tensor in tensors)
        {
            var source = tensor.Source;
            if (source.File != current)
            {
                if (!files.Add(source.File))
                {
                    return true;
                }

                (current, end) = (source.File, 0);
            }

            if (source.ByteLength > 0 && source.Offset < end)
            {
                return true;
            }

            end = Math.Max(end, source.Offset + source.ByteLength);
        }

        return false;
    }
}
