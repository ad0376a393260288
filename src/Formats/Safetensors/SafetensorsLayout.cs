using System.Runtime.CompilerServices;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>
/// Checks that the entries of a header describe the data exactly: no hole, no overlap, sizes that match, nothing left
/// over. The checks run in the reference's order (tensor.rs, Metadata::validate), so that the first error is the same.
/// </summary>
internal static class SafetensorsLayout
{
    /// <summary>Validates the entries and turns them into tensors, in the order of their bytes.</summary>
    /// <param name="entries">The parsed entries; sorted in place.</param>
    /// <param name="file">The file that holds them.</param>
    /// <param name="dataOffset">Where the data begins, in bytes from the start of the file.</param>
    /// <exception cref="InvalidCheckpointException">A rule is broken; the message names tensor, offset, expected and actual.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static TensorInfo[] Validate(SafetensorsEntry[] entries, CheckpointFile file, long dataOffset)
    {
        SortByRange(entries);
        var tensors = new TensorInfo[entries.Length];
        ulong position = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = entries[i];
            if (entry.Begin != position || entry.End < entry.Begin)
            {
                throw Invalid(
                    CheckpointErrorCode.OffsetInvalid,
                    file,
                    entry,
                    entry.End < entry.Begin
                        ? $"its data ends at {entry.End}, before it begins at {entry.Begin}."
                        : $"its data begins at {entry.Begin} where {position} was expected: "
                          + $"{(entry.Begin > position ? "there is a hole" : "it overlaps another tensor")}, "
                          + "and every byte must belong to exactly one tensor.",
                    dataOffset);
            }

            var bytes = CountBytes(entry, file, dataOffset);
            if (entry.End - entry.Begin != bytes)
            {
                throw Invalid(
                    CheckpointErrorCode.SizeMismatch,
                    file,
                    entry,
                    $"{entry.DType.Name} {Describe(entry)} takes {bytes} bytes, but its range has {entry.End - entry.Begin}.",
                    dataOffset);
            }

            position = entry.End;
            tensors[i] = CreateTensor(entry, file, dataOffset);
        }

        CheckLength(position, file, dataOffset);
        return tensors;
    }

    private static void SortByRange(SafetensorsEntry[] entries)
    {
        for (var i = 1; i < entries.Length; i++)
        {
            // Writers emit headers in file order; a look is cheaper than a sort.
            if (Compare(entries[i - 1], entries[i]) > 0)
            {
                Array.Sort(entries, Compare);
                return;
            }
        }
    }

    private static int Compare(SafetensorsEntry a, SafetensorsEntry b)
    {
        var byBegin = a.Begin.CompareTo(b.Begin);
        return byBegin != 0 ? byBegin : a.End.CompareTo(b.End);
    }

    // The reference multiplies from the left and fails at the first overflow, even if a zero follows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong CountBytes(SafetensorsEntry entry, CheckpointFile file, long dataOffset)
    {
        ulong bits;
        try
        {
            ulong count = 1;
            foreach (var dimension in entry.Dimensions)
            {
                count = checked(count * dimension);
            }

            bits = checked(count * BitsPerElement(entry.DType));
        }
        catch (OverflowException exception)
        {
            throw Invalid(
                CheckpointErrorCode.SizeOverflow,
                file,
                entry,
                $"the size of {entry.DType.Name} {Describe(entry)} does not fit 64 bits.",
                dataOffset,
                exception);
        }

        return bits % 8 == 0
            ? bits / 8
            : throw Invalid(
                CheckpointErrorCode.MisalignedTensor,
                file,
                entry,
                $"{entry.DType.Name} {Describe(entry)} takes {bits} bits, which is no whole number of bytes.",
                dataOffset);
    }

    private static ulong BitsPerElement(DType dtype) => (ulong)(dtype.BlockSize * 8 / dtype.BlockLength);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TensorInfo CreateTensor(SafetensorsEntry entry, CheckpointFile file, long dataOffset)
    {
        try
        {
            Span<long> dimensions = entry.Dimensions.Length <= 16 ? stackalloc long[entry.Dimensions.Length] : new long[entry.Dimensions.Length];
            for (var i = 0; i < dimensions.Length; i++)
            {
                dimensions[i] = checked((long)entry.Dimensions[i]);
            }

            return new TensorInfo(
                entry.Name,
                entry.DType,
                new Shape(dimensions),
                file,
                checked(dataOffset + (long)entry.Begin),
                checked((long)(entry.End - entry.Begin)));
        }
        catch (OverflowException exception)
        {
            // The reference counts in unsigned 64 bits; sizes here are signed. Only an empty tensor with a dimension of
            // 2^63 or more, or a range far beyond any file, gets here.
            throw Invalid(
                CheckpointErrorCode.SizeOverflow,
                file,
                entry,
                $"{entry.DType.Name} {Describe(entry)} has a size or an offset above {long.MaxValue}.",
                dataOffset,
                exception);
        }
    }

    private static void CheckLength(ulong dataLength, CheckpointFile file, long dataOffset)
    {
        var available = (ulong)(file.Length - dataOffset);
        if (available < dataLength)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.FileTruncated,
                file.Path,
                $"the file ends {dataLength - available} bytes too early: the header describes {dataLength} bytes of data and "
                + $"{available} are there. A download or copy that was cut leaves this; fetch the file again.",
                SafetensorsConstants.Format,
                file.Length);
        }

        if (available > dataLength)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.TrailingBytes,
                file.Path,
                $"{available - dataLength} bytes follow the last tensor: the header describes {dataLength} bytes of data and "
                + $"{available} are there. Write the file again, or cut what was appended.",
                SafetensorsConstants.Format,
                dataOffset + (long)dataLength);
        }
    }

    // A header may name millions of dimensions; the first ones tell what it is.
    private static string Describe(SafetensorsEntry entry)
    {
        const int shown = 8;
        return entry.Dimensions.Length <= shown
            ? $"[{string.Join(", ", entry.Dimensions)}]"
            : $"[{string.Join(", ", entry.Dimensions.Take(shown))}, … ({entry.Dimensions.Length} dimensions)]";
    }

    private static InvalidCheckpointException Invalid(
        CheckpointErrorCode code,
        CheckpointFile file,
        SafetensorsEntry entry,
        string problem,
        long dataOffset,
        Exception? inner = null)
    {
        // An offset beyond the file is still worth printing; one beyond 63 bits is not an offset.
        long? offset = entry.Begin <= (ulong)(long.MaxValue - dataOffset) ? dataOffset + (long)entry.Begin : null;
        return new InvalidCheckpointException(code, file.Path, problem, SafetensorsConstants.Format, offset, entry.Name, inner);
    }
}
