using System.Collections.Immutable;
using System.Numerics;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Writes one GGUF file of version 3, little-endian: tensors and metadata in the order they are given, header and tensors
/// padded with zeros to the alignment as ggml pads them, whole or not at all (<see cref="AtomicFile"/>). The bytes of the
/// tensors may come in any order and from several threads; <see cref="CommitAsync"/> insists that all of them came.
/// </summary>
public sealed class GgufWriter : ITensorWriter
{
    private readonly TensorRegions _regions;

    private GgufWriter(AtomicFile file, ImmutableArray<GgufTensor> tensors, int alignment, TensorRegion[] regions, long length)
    {
        Tensors = tensors;
        Alignment = alignment;
        Length = length;
        _regions = new TensorRegions(file, regions);
    }

    /// <summary>The tensors in the order of their bytes; writing in this order is sequential.</summary>
    public ImmutableArray<GgufTensor> Tensors { get; }

    /// <summary>What tensors are aligned to, in bytes.</summary>
    public int Alignment { get; }

    /// <inheritdoc/>
    public string Path => _regions.Path;

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>Begins a file: takes the space and writes the header.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <param name="metadata">
    /// Keys and values in this order, the values in the CLR types that <see cref="GgufValueType"/> names; null for none.
    /// </param>
    /// <param name="alignment">
    /// What tensors are aligned to, a power of two up to 1 MiB; null for what <c>general.alignment</c> in the metadata says, or
    /// 32. The key is set to what is given here, and added where it is missing and this is not 32.
    /// </param>
    /// <param name="overwrite">Whether a file that is there, or comes there before the commit, is replaced.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <exception cref="ArgumentException">
    /// A tensor cannot be held (<see cref="Objection"/>) or is named twice, a metadata entry or the alignment is not allowed, or
    /// the sizes do not fit 64 bits.
    /// </exception>
    /// <exception cref="CheckpointLimitException">The header would exceed what readers accept.</exception>
    /// <exception cref="IOException">The file cannot be made, something is there that may not be replaced, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static Task<GgufWriter> CreateAsync(
        string path,
        IEnumerable<GgufTensor> tensors,
        IEnumerable<KeyValuePair<string, object>>? metadata = null,
        int? alignment = null,
        bool overwrite = true,
        CancellationToken cancellationToken = default) =>
        CreateAsync(path, length => AtomicFile.Create(path, length, overwrite), tensors, metadata, alignment, cancellationToken);

    /// <summary>Begins a file of a folder, with which it will appear: takes the space and writes the header.</summary>
    /// <param name="folder">The folder; it must be committed after the file.</param>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <param name="metadata">
    /// Keys and values in this order; null for none. For a part of a split model, what <see cref="GgufFileKeys.OfPart"/> gives.
    /// </param>
    /// <param name="alignment">As for a file of its own.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <inheritdoc cref="CreateAsync(string, IEnumerable{GgufTensor}, IEnumerable{KeyValuePair{string, object}}?, int?, bool, CancellationToken)" path="/exception"/>
    public static Task<GgufWriter> CreateAsync(
        AtomicFolder folder,
        string name,
        IEnumerable<GgufTensor> tensors,
        IEnumerable<KeyValuePair<string, object>>? metadata = null,
        int? alignment = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        var path = System.IO.Path.Combine(folder.Path, name);
        return CreateAsync(path, length => folder.CreateFile(name, length), tensors, metadata, alignment, cancellationToken);
    }

    /// <summary>Why a file cannot hold a tensor, in a few words for a message; null where it can.</summary>
    public static string? Objection(GgufTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        var nameBytes = GgufHeaderWriter.ByteCount(tensor.Name);
        var row = tensor.Shape.Rank == 0 ? 1 : tensor.Shape[^1];
        return nameBytes is null or 0 || tensor.Name.Contains('\0', StringComparison.Ordinal) ? "a name that GGUF does not allow"
            : nameBytes > GgufLimits.DefaultMaximumNameBytes
                ? $"a name of {nameBytes} bytes, and GGUF has {GgufLimits.DefaultMaximumNameBytes} at most"
            : !GgufTypes.TryGetId(tensor.DType, out _) ? tensor.DType.Name
            : tensor.Shape.Rank > GgufConstants.MaximumRank ? $"{tensor.Shape.Rank} dimensions, and GGUF has {GgufConstants.MaximumRank} at most"
            : row % tensor.DType.BlockLength != 0 ? $"{tensor.DType.Name} in rows of {row}, not whole blocks of {tensor.DType.BlockLength}"
            : null;
    }

    /// <summary>Whether the metadata may have this key: 1 to 65,535 bytes of text without half of a surrogate pair.</summary>
    public static bool CanName(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return GgufHeaderWriter.ByteCount(key) is > 0 and <= GgufLimits.DefaultMaximumKeyBytes;
    }

    /// <summary>
    /// Whether a metadata entry may have this value: of a CLR type that <see cref="GgufValueType"/> names, text without half of a surrogate
    /// pair, and no longer or deeper than readers take.
    /// </summary>
    public static bool CanHold(object value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return GgufHeaderWriter.ObjectionTo(value) is null;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) =>
        _regions.WriteAsync(name, offset, bytes, cancellationToken);

    /// <inheritdoc/>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes) => _regions.Write(name, offset, bytes);

    /// <inheritdoc/>
    public ValueTask CommitAsync(CancellationToken cancellationToken = default) => _regions.CommitAsync(cancellationToken);

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync() => _regions.DisposeAsync();

    private static async Task<GgufWriter> CreateAsync(
        string path,
        Func<long, AtomicFile> create,
        IEnumerable<GgufTensor> tensors,
        IEnumerable<KeyValuePair<string, object>>? metadata,
        int? alignment,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ImmutableArray<GgufTensor> all = [.. tensors];
        CheckTensors(all);
        var entries = metadata?.ToList() ?? [];
        var aligned = Align(entries, alignment);
        ReadOnlyMemory<byte> header;
        var regions = new TensorRegion[all.Length];
        long length;
        try
        {
            var offsets = new long[all.Length + 1];
            for (var i = 0; i < all.Length; i++)
            {
                offsets[i + 1] = checked(offsets[i] + GgufLayout.Pad(all[i].DType.ByteCount(all[i].Shape.ElementCount), aligned));
            }

            header = new GgufHeaderWriter(path).Build(entries, all, offsets, aligned);
            length = checked(header.Length + offsets[^1]);
            for (var i = 0; i < all.Length; i++)
            {
                regions[i] = new TensorRegion(all[i].Name, header.Length + offsets[i], all[i].DType.ByteCount(all[i].Shape.ElementCount));
            }
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"The tensors take more than {long.MaxValue} bytes.", nameof(tensors), exception);
        }

        var file = create(length);
        try
        {
            await file.WriteAsync(0, header, cancellationToken).ConfigureAwait(false);
            await WritePaddingAsync(file, regions, length, aligned, cancellationToken).ConfigureAwait(false);
            return new GgufWriter(file, all, aligned, regions, length);
        }
        catch
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static void CheckTensors(ImmutableArray<GgufTensor> tensors)
    {
        var names = new HashSet<string>(tensors.Length);
        foreach (var tensor in tensors)
        {
            if (Objection(tensor) is { } objection)
            {
                throw new ArgumentException(
                    $"Tensor {Quoted.Name(tensor.Name)}, {tensor.DType.Name} {tensor.Shape}, cannot be stored in a GGUF file: {objection}.", nameof(tensors));
            }

            if (!names.Add(tensor.Name))
            {
                throw new ArgumentException($"Two tensors are named {Quoted.Name(tensor.Name)}.", nameof(tensors));
            }
        }
    }

    // The alignment that holds, which the metadata says too from here on.
    private static int Align(List<KeyValuePair<string, object>> metadata, int? asked)
    {
        var index = metadata.FindIndex(entry => GgufFileKeys.IsAlignment(entry.Key));
        if (asked is { } alignment)
        {
            if (!IsAlignment(alignment))
            {
                throw Refused(alignment, nameof(alignment));
            }

            var entry = KeyValuePair.Create<string, object>(GgufConstants.AlignmentKey, (uint)alignment);
            if (index >= 0)
            {
                metadata[index] = entry;
            }
            else if (alignment != GgufConstants.DefaultAlignment)
            {
                metadata.Add(entry);
            }

            return alignment;
        }

        return index < 0 ? GgufConstants.DefaultAlignment
            : metadata[index].Value is uint given && IsAlignment(given) ? (int)given
            : throw Refused(metadata[index].Value, nameof(metadata));

        static bool IsAlignment(long value) => BitOperations.IsPow2(value) && value <= GgufLimits.DefaultMaximumAlignment;

        static ArgumentException Refused(object value, string parameter) => new(
            $"{GgufConstants.AlignmentKey} is a power of two up to {GgufLimits.DefaultMaximumAlignment} as {GgufValueType.UINT32}, not "
            + $"{Quoted.Name($"{value}")} ({value?.GetType().Name ?? "null"}).",
            parameter);
    }

    // Written, since not every disk gives zeros, and a size, to bytes that nobody has written.
    private static async Task WritePaddingAsync(
        AtomicFile file, TensorRegion[] regions, long length, int alignment, CancellationToken cancellationToken)
    {
        var zeros = new byte[alignment];
        for (var i = 0; i < regions.Length; i++)
        {
            var end = regions[i].Offset + regions[i].ByteLength;
            var padding = (int)((i + 1 < regions.Length ? regions[i + 1].Offset : length) - end);
            if (padding > 0)
            {
                await file.WriteAsync(end, zeros.AsMemory(0, padding), cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
