namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Checks types, sizes and places of the tensors in ggml's order (gguf.cpp, gguf_init_from_reader; formats.md 2.3), so that
/// the first error is the same.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="dataOffset">Where the data begins, in bytes from the start of the file.</param>
/// <param name="alignment">What tensors are aligned to.</param>
/// <param name="isLenient">Whether any order and holes are accepted.</param>
internal sealed class GgufLayout(CheckpointFile file, long dataOffset, int alignment, bool isLenient)
{
    /// <summary>The next multiple of an alignment.</summary>
    /// <param name="value">A size or an offset, not negative.</param>
    /// <param name="alignment">A power of two.</param>
    /// <exception cref="OverflowException">It is beyond 63 bits.</exception>
    public static long Pad(long value, int alignment) => checked(value + alignment - 1) & -alignment;

    /// <summary>Places the tensors, in the order of their bytes.</summary>
    /// <param name="entries">The entries in the order of the file.</param>
    /// <param name="unreadable">
    /// Takes the entries whose types are not known, with their offset in the file; null where such a file is refused.
    /// </param>
    /// <exception cref="InvalidCheckpointException">A rule is broken; the message names tensor, offset, expected and actual.</exception>
    public IReadOnlyList<GgufPlaced> Place(IReadOnlyList<GgufEntry> entries, List<(GgufEntry Entry, long Offset)>? unreadable)
    {
        var placed = new List<GgufPlaced>(entries.Count);
        var end = 0L;
        // Nobody knows how long a tensor of an unknown type is: the next one may begin anywhere behind it.
        var isEndKnown = true;
        foreach (var entry in entries)
        {
            var isKnown = GgufTypes.TryGetDType(entry.TypeId, out var dtype);
            if (!isKnown && unreadable is null)
            {
                throw Invalid(CheckpointErrorCode.UnknownDType, entry, GgufTypes.Refusal(entry.TypeId));
            }

            try
            {
                var length = isKnown ? ByteLength(entry, dtype) : 0;
                if (OffsetProblem(entry, end, isEndKnown, advises: unreadable is not { Count: > 0 }) is { } problem)
                {
                    // Where the type is not known, that comes first, as for whoever wants no such tensors listed.
                    throw isKnown
                        ? Invalid(CheckpointErrorCode.OffsetInvalid, entry, problem)
                        : Invalid(CheckpointErrorCode.UnknownDType, entry, GgufTypes.Refusal(entry.TypeId));
                }

                if (isKnown)
                {
                    placed.Add(new GgufPlaced(entry, dtype, FileOffset(entry), length));
                }
                else
                {
                    unreadable!.Add((entry, FileOffset(entry)));
                }

                end = checked((long)entry.Offset + Pad(length, alignment));
                isEndKnown = isKnown;
            }
            catch (OverflowException exception)
            {
                throw Invalid(
                    CheckpointErrorCode.SizeOverflow,
                    entry,
                    $"the end of {(isKnown ? dtype.Name : $"type {entry.TypeId}")} {entry.Shape} does not fit 63 bits.",
                    exception);
            }
        }

        if (isLenient)
        {
            placed.Sort((a, b) => a.Offset.CompareTo(b.Offset) is not 0 and var byOffset ? byOffset : a.ByteLength.CompareTo(b.ByteLength));
            CheckOverlap(placed);
        }

        CheckRange(placed);
        return placed;
    }

    private long ByteLength(GgufEntry entry, DType dtype)
    {
        // A row is whole blocks; a tensor whose elements fill blocks only together is none of ggml's.
        var row = entry.Shape.Rank == 0 ? 1 : entry.Shape[^1];
        return row % dtype.BlockLength == 0
            ? dtype.ByteCount(entry.Shape.ElementCount)
            : throw Invalid(
                CheckpointErrorCode.MisalignedTensor,
                entry,
                $"its rows have {row} elements, and {dtype.Name} stores blocks of {dtype.BlockLength}.");
    }

    // Null where it is right. Lenience is no advice for a file with unknown types, which nothing else opens.
    private string? OffsetProblem(GgufEntry entry, long end, bool isEndKnown, bool advises)
    {
        if (entry.Offset > long.MaxValue)
        {
            return $"its data begins at {unchecked((long)entry.Offset)}; no offset is negative.";
        }

        if (entry.Offset % (ulong)alignment != 0)
        {
            return $"its data begins at {entry.Offset} of the data section, which is no multiple of the alignment, {alignment}.";
        }

        return isLenient || (isEndKnown ? (long)entry.Offset == end : (long)entry.Offset >= end)
            ? null
            : $"its data begins at {entry.Offset} of the data section where {end} was expected: "
              + $"{((long)entry.Offset > end ? "there is a hole before it" : "it overlaps another tensor, or the tensors are out of order")}."
              + (advises ? $" If the file is meant to be so, open it with --lenient ({nameof(GgufLimits)}.{nameof(GgufLimits.Lenient)})." : "");
    }

    private void CheckOverlap(List<GgufPlaced> placed)
    {
        GgufPlaced? before = null;
        foreach (var tensor in placed)
        {
            // One without elements lies nowhere.
            if (tensor.ByteLength == 0)
            {
                continue;
            }

            if (before is { } other && tensor.Offset - other.Offset < other.ByteLength)
            {
                throw Invalid(
                    CheckpointErrorCode.OffsetInvalid,
                    tensor.Entry,
                    $"its data begins at {tensor.Entry.Offset} of the data section, inside the {other.ByteLength} bytes of the tensor "
                    + $"{Quoted.Name(other.Entry.Name)} at {other.Entry.Offset}.");
            }

            before = tensor;
        }
    }

    private void CheckRange(List<GgufPlaced> placed)
    {
        foreach (var (entry, _, offset, length) in placed)
        {
            if (length > file.Length - offset)
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.FileTruncated,
                    file.Path,
                    $"its {length} bytes begin at byte {offset}, and the file has {file.Length}: a download or copy that was cut leaves "
                    + "this; fetch the file again.",
                    GgufConstants.Format,
                    file.Length,
                    entry.Name);
            }
        }
    }

    private long FileOffset(GgufEntry entry) => checked(dataOffset + (long)entry.Offset);

    private InvalidCheckpointException Invalid(CheckpointErrorCode code, GgufEntry entry, string problem, Exception? inner = null) =>
        new(code, file.Path, problem, GgufConstants.Format, entry.Position, entry.Name, inner);
}
