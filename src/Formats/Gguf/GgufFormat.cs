using System.Numerics;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>Recognises GGUF files and reads their headers.</summary>
/// <param name="limits">What is accepted from a file.</param>
/// <param name="listsUnknownTypes">Whether tensors of unknown types are listed apart instead of refused.</param>
internal sealed class GgufFormat(GgufLimits limits, bool listsUnknownTypes) : CheckpointFormat
{
    /// <inheritdoc/>
    public override string Name => GgufConstants.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [GgufConstants.Extension];

    /// <inheritdoc/>
    public override bool Matches(ReadOnlySpan<byte> head) => head.StartsWith(GgufConstants.Magic);

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        using var bytes = new GgufHeaderBytes(file, head.Span, limits);
        var parsed = await new GgufHeaderReader(bytes, limits).ReadAsync(cancellationToken).ConfigureAwait(false);
        var alignment = ReadAlignment(parsed.Metadata, bytes);
        // A file without tensors ends where its header does.
        var dataOffset = parsed.Entries.Count > 0 ? GgufLayout.Pad(parsed.Length, alignment) : parsed.Length;
        var unknown = new List<(GgufEntry Entry, long Offset)>();
        var placed = new GgufLayout(file, dataOffset, alignment, limits.Lenient).Place(parsed.Entries, listsUnknownTypes ? unknown : null);

        var source = parsed.IsBigEndian
            ? ByteOrderSource.Over(
                file.Source,
                placed.Select(tensor => new SwappedRange(
                    tensor.Offset, tensor.ByteLength, tensor.DType.BlockSize, GgufByteOrder.Fields(tensor.DType))))
            : file.Source;
        var opened = new CheckpointFile(file.Name, file.Path, Name, source)
        {
            Header = new GgufHeader(parsed.Version, parsed.IsBigEndian, alignment, dataOffset, parsed.Metadata),
        };
        return new FileContent(
            [.. placed.Select(tensor => new TensorInfo(
                tensor.Entry.Name, tensor.DType, tensor.Entry.Shape, opened, tensor.Offset, tensor.ByteLength))],
            parsed.Metadata)
        {
            File = opened,
            Unreadable = [.. unknown.Select(tensor => new UnreadableTensor(
                tensor.Entry.Name,
                tensor.Entry.TypeId,
                GgufTypes.Describe(tensor.Entry.TypeId),
                tensor.Entry.Shape,
                opened,
                tensor.Offset,
                GgufTypes.Refusal(tensor.Entry.TypeId)))],
            Warnings = parsed.Warnings,
        };
    }

    private int ReadAlignment(OrderedDictionary<string, object> metadata, GgufHeaderBytes bytes)
    {
        if (!metadata.TryGetValue(GgufConstants.AlignmentKey, out var value))
        {
            return GgufConstants.DefaultAlignment;
        }

        if (value is not uint alignment || !BitOperations.IsPow2(alignment))
        {
            throw bytes.Invalid(
                CheckpointErrorCode.MetadataInvalid,
                $"{GgufConstants.AlignmentKey} is {Quoted.Name($"{value}")} ({GgufValueType.Of(value.GetType())}), and must be a power of two "
                + $"as {GgufValueType.UINT32}.");
        }

        return alignment <= limits.MaximumAlignment
            ? (int)alignment
            : throw bytes.Beyond(GgufConstants.AlignmentKey, alignment, limits.MaximumAlignment, nameof(GgufLimits.MaximumAlignment));
    }
}
