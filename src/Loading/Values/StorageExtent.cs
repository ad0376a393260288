using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The part of a storage from a tensor's first element to its last, in elements (blocks for block types).</summary>
/// <param name="First">The first element.</param>
/// <param name="End">The element behind the last one; the first where the tensor has no elements.</param>
/// <param name="Used">How many elements of it are the tensor's, at most: fewer where dimensions overlap.</param>
internal readonly record struct StorageExtent(long First, long End, long Used)
{
    /// <summary>The number of elements from the first to the last.</summary>
    public long Length => End - First;

    /// <summary>Whether so many elements are worth reading all between the first and the last of them: at least half is used.</summary>
    public static bool IsWorthReading(long used, long length) => used >= length - used;

    /// <summary>The extent of a tensor.</summary>
    public static StorageExtent Of(TensorInfo tensor)
    {
        var (last, used) = (0L, 1L);
        for (var i = 0; i < tensor.Shape.Rank; i++)
        {
            var size = i == tensor.Shape.Rank - 1 ? tensor.Shape[i] / tensor.DType.BlockLength : tensor.Shape[i];
            if (size == 0)
            {
                return new StorageExtent(tensor.StorageOffset, tensor.StorageOffset, 0);
            }

            if (!tensor.IsContiguous)
            {
                last = checked(last + ((size - 1) * tensor.Strides[i]));
                used = tensor.Strides[i] == 0 ? used : checked(used * size);
            }
        }

        if (tensor.IsContiguous)
        {
            used = tensor.DataByteLength / tensor.DType.BlockSize;
            last = used - 1;
        }

        // Dimensions that overlap have some elements several times.
        return new StorageExtent(tensor.StorageOffset, checked(tensor.StorageOffset + last + 1), Math.Min(used, last + 1));
    }
}
