using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Counts what is written more than once, since views are written in full, each by itself: elements of a storage that several tensors see.</summary>
internal static class SeparatedViews
{
    /// <summary>The tensors that share elements with others of their storage, and the bytes that are written beyond each element once.</summary>
    /// <param name="tensors">What is written, ties not among it.</param>
    public static (int Tensors, long Bytes) Count(IEnumerable<OutputTensor> tensors)
    {
        var views = tensors.Where(tensor => tensor.Source.ElementCount > 0).ToArray();
        if (views.All(tensor => tensor.Source.IsWholeStorage))
        {
            return (0, 0);
        }

        var (count, bytes) = (0, 0L);
        foreach (var storage in views.GroupBy(tensor => (tensor.Source.File, tensor.Source.Offset, tensor.Source.ByteLength, Stored: tensor.Source.DType, Target: tensor.DType)))
        {
            var written = storage.Sum(tensor => tensor.ByteLength);
            var seen = storage.Key.Target.ByteCount(storage.Key.Stored.BlockLength * Union(storage.Select(tensor => StorageExtent.Of(tensor.Source))));
            if (written > seen && storage.Any(tensor => !tensor.Source.IsWholeStorage))
            {
                count += storage.Count();
                bytes += written - seen;
            }
        }

        return (count, bytes);
    }

    // Elements (or blocks) that at least one of some extents has.
    private static long Union(IEnumerable<StorageExtent> extents)
    {
        var (elements, end) = (0L, 0L);
        foreach (var extent in extents.OrderBy(extent => extent.First))
        {
            elements += Math.Max(0, extent.End - Math.Max(end, extent.First));
            end = Math.Max(end, extent.End);
        }

        return elements;
    }
}
