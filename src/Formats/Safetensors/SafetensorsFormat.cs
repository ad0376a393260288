using System.Buffers;
using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>Recognises safetensors files and reads their headers. Never holds more of a file than its header.</summary>
/// <param name="limits">What is accepted from a file.</param>
internal sealed class SafetensorsFormat(SafetensorsLimits limits) : CheckpointFormat
{
    // How much of the end is looked at before a file is called a half-finished download.
    private const int TailBytes = 4096;

    /// <inheritdoc/>
    public override string Name => SafetensorsConstants.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [SafetensorsConstants.Extension];

    /// <inheritdoc/>
    /// <remarks>
    /// The first eight bytes are a number and may look like anything (a header of 640 bytes begins like a pickle); the
    /// object's brace behind it, and a plausible number, decide.
    /// </remarks>
    public override bool Matches(ReadOnlySpan<byte> head)
    {
        if (head.Length <= SafetensorsConstants.LengthBytes || BinaryPrimitives.ReadUInt64LittleEndian(head) > (ulong)Array.MaxLength)
        {
            return false;
        }

        var first = SafetensorsConstants.LengthBytes;
        while (first < head.Length && (head[first] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n'))
        {
            first++;
        }

        return first < head.Length && head[first] == (byte)'{';
    }

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        var headerLength = ReadHeaderLength(file, head.Span);
        var buffer = ArrayPool<byte>.Shared.Rent(headerLength);
        try
        {
            var header = buffer.AsMemory(0, headerLength);
            await file.Source.ReadExactlyAsync(SafetensorsConstants.LengthBytes, header, cancellationToken).ConfigureAwait(false);
            if (header.Span is [.., 0])
            {
                await ThrowIfZeroFilledAsync(file, header, cancellationToken).ConfigureAwait(false);
            }

            return Parse(file, header.Span);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private FileContent Parse(CheckpointFile file, ReadOnlySpan<byte> bytes)
    {
        var header = SafetensorsHeaderParser.Parse(bytes, file.Path, limits);
        var tensors = SafetensorsLayout.Validate(header.Entries, file, SafetensorsConstants.LengthBytes + bytes.Length);
        return header.Metadata.TryGetValue(SafetensorsTies.MetadataKey, out var ties)
            ? WithTies(tensors, header.Metadata, (string)ties)
            : new FileContent(tensors, header.Metadata);
    }

    // Understood ties leave the metadata, so that a copy of it does not carry them to other tensors.
    private static FileContent WithTies(TensorInfo[] tensors, IReadOnlyDictionary<string, object> metadata, string text)
    {
        var ties = SafetensorsTies.Read(text, out var isWellFormed);
        if (isWellFormed)
        {
            var rest = new Dictionary<string, object>(metadata);
            rest.Remove(SafetensorsTies.MetadataKey);
            metadata = rest;
        }

        return new FileContent(tensors, metadata, ties.IsEmpty ? null : ties);
    }

    private int ReadHeaderLength(CheckpointFile file, ReadOnlySpan<byte> head)
    {
        if (head.Length < SafetensorsConstants.LengthBytes)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.HeaderTooSmall,
                file.Path,
                $"the file has {file.Length} bytes, and the length of a safetensors header alone takes "
                + $"{SafetensorsConstants.LengthBytes}. It is empty or was cut; fetch it again.",
                Name,
                0);
        }

        var length = BinaryPrimitives.ReadUInt64LittleEndian(head);

        // The cap comes before the addition, which could wrap, and before anything is allocated.
        if (length > (ulong)limits.MaximumHeaderBytes)
        {
            throw new CheckpointLimitException(
                "header length",
                length,
                limits.MaximumHeaderBytes,
                $"{nameof(SafetensorsLimits)}.{nameof(SafetensorsLimits.MaximumHeaderBytes)}",
                file.Path,
                Name,
                CheckpointErrorCode.HeaderTooLarge);
        }

        if (SafetensorsConstants.LengthBytes + (long)length > file.Length)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.HeaderOutOfFile,
                file.Path,
                $"the header says it has {length} bytes, and {file.Length - SafetensorsConstants.LengthBytes} bytes follow: the file was "
                + "cut, or is not a safetensors file.",
                Name,
                0);
        }

        return (int)length;
    }

    // A downloader that takes the whole space first and is interrupted leaves zeros: where they begin inside the header,
    // the JSON error would be right but of no help.
    private async ValueTask ThrowIfZeroFilledAsync(CheckpointFile file, ReadOnlyMemory<byte> header, CancellationToken cancellationToken)
    {
        var zerosFrom = header.Span.LastIndexOfAnyExcept((byte)0) + 1;
        if (header.Length - zerosFrom < SafetensorsConstants.HeaderAlignment)
        {
            // So few are padding by a writer that took NUL for a space; the parser says what is wrong with them.
            return;
        }

        var headerEnd = SafetensorsConstants.LengthBytes + (long)header.Length;
        var tail = new byte[(int)Math.Min(TailBytes, file.Length - headerEnd)];
        await file.Source.ReadExactlyAsync(file.Length - tail.Length, tail, cancellationToken).ConfigureAwait(false);
        if (!tail.AsSpan().ContainsAnyExcept((byte)0))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ZeroFilled,
                file.Path,
                "the header ends in zeros, and so does the file: an interrupted download leaves this; fetch the file again.",
                Name,
                SafetensorsConstants.LengthBytes + zerosFrom);
        }
    }
}
