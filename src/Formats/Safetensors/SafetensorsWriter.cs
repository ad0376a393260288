using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>
/// Writes one safetensors file: sorted as the reference sorts (dtype descending, then name), header padded to eight
/// bytes, whole or not at all (<see cref="AtomicFile"/>). The bytes of the tensors may come in any order and from
/// several threads; <see cref="CommitAsync"/> insists that all of them came.
/// </summary>
public sealed class SafetensorsWriter : ITensorWriter
{
    private readonly TensorRegions _regions;

    private SafetensorsWriter(AtomicFile file, ImmutableArray<SafetensorsTensor> tensors, long[] offsets, ReadOnlyMemory<byte> header)
    {
        Header = header;
        Tensors = tensors;
        Length = offsets[^1];
        _regions = new TensorRegions(
            file, [.. tensors.Select((tensor, i) => new TensorRegion(tensor.Name, offsets[i], offsets[i + 1] - offsets[i]))]);
    }

    /// <summary>The tensors in the order of their bytes; writing in this order is sequential.</summary>
    public ImmutableArray<SafetensorsTensor> Tensors { get; }

    /// <summary>
    /// The file's first bytes as they are written, the eight of the length included: the tensors' follow without a gap. Whoever
    /// writes these in order can hash the file without reading it.
    /// </summary>
    public ReadOnlyMemory<byte> Header { get; }

    /// <inheritdoc/>
    public string Path => _regions.Path;

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>Begins a file: takes the space and writes the header.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="tensors">What it will hold, in any order.</param>
    /// <param name="metadata">The strings under <c>__metadata__</c>; null or empty leaves the key out.</param>
    /// <param name="overwrite">Whether a file that is there, or comes there before the commit, is replaced.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <exception cref="ArgumentException">A name is not allowed or occurs twice, a dtype is not a safetensors type, or the sizes do not fit 64 bits.</exception>
    /// <exception cref="CheckpointLimitException">The header would exceed what readers accept.</exception>
    /// <exception cref="IOException">The file cannot be made, something is there that may not be replaced, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static Task<SafetensorsWriter> CreateAsync(
        string path,
        IEnumerable<SafetensorsTensor> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        bool overwrite = true,
        CancellationToken cancellationToken = default) =>
        CreateAsync(path, length => AtomicFile.Create(path, length, overwrite), tensors, metadata, cancellationToken);

    /// <summary>Begins a file of a folder, with which it will appear: takes the space and writes the header.</summary>
    /// <param name="folder">The folder; it must be committed after the file.</param>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="tensors">What it will hold, in any order.</param>
    /// <param name="metadata">The strings under <c>__metadata__</c>; null or empty leaves the key out.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <inheritdoc cref="CreateAsync(string, IEnumerable{SafetensorsTensor}, IReadOnlyDictionary{string, string}?, bool, CancellationToken)" path="/exception"/>
    public static Task<SafetensorsWriter> CreateAsync(
        IOutputFolder folder,
        string name,
        IEnumerable<SafetensorsTensor> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        var path = System.IO.Path.Combine(folder.Path, name);
        return CreateAsync(path, length => folder.CreateFile(name, length), tensors, metadata, cancellationToken);
    }

    private static async Task<SafetensorsWriter> CreateAsync(
        string path,
        Func<long, AtomicFile> create,
        IEnumerable<SafetensorsTensor> tensors,
        IReadOnlyDictionary<string, string>? metadata,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ImmutableArray<SafetensorsTensor> sorted = [.. tensors.Order(WriteOrder)];
        CheckNames(sorted, metadata);
        long[] offsets;
        ReadOnlyMemory<byte> header;
        try
        {
            header = BuildHeader(sorted, metadata ?? ImmutableDictionary<string, string>.Empty, out offsets);
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"The tensors take more than {long.MaxValue} bytes.", nameof(tensors), exception);
        }

        if (header.Length - SafetensorsConstants.LengthBytes > SafetensorsLimits.DefaultMaximumHeaderBytes)
        {
            throw new CheckpointLimitException(
                "header length",
                header.Length - SafetensorsConstants.LengthBytes,
                SafetensorsLimits.DefaultMaximumHeaderBytes,
                "the number of shards",
                path,
                SafetensorsConstants.Format,
                CheckpointErrorCode.HeaderTooLarge);
        }

        var file = create(offsets[^1]);
        try
        {
            await file.WriteAsync(0, header, cancellationToken).ConfigureAwait(false);
            return new SafetensorsWriter(file, sorted, offsets, header);
        }
        catch
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The reference's order: dtype descending by its enum, so that wide types stay aligned, then name by bytes.</summary>
    public static IComparer<SafetensorsTensor> WriteOrder { get; } = Comparer<SafetensorsTensor>.Create((a, b) =>
    {
        var byDType = ((int)b.DType).CompareTo((int)a.DType);
        // Ordinal UTF-16 order differs from the order of UTF-8 bytes above U+FFFF; the reference compares bytes.
        return byDType != 0 ? byDType : Encoding.UTF8.GetBytes(a.Name).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(b.Name));
    });

    /// <inheritdoc/>
    public ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) =>
        _regions.WriteAsync(name, offset, bytes, cancellationToken);

    /// <inheritdoc/>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes) => _regions.Write(name, offset, bytes);

    /// <inheritdoc/>
    public ValueTask CommitAsync(CancellationToken cancellationToken = default) => _regions.CommitAsync(cancellationToken);

    /// <summary>Whether a tensor may have this name: not that of the metadata, no NUL character, no half of a surrogate pair.</summary>
    public static bool CanName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name != SafetensorsConstants.MetadataKey && CanBeWritten(name);
    }

    /// <summary>Whether the metadata may have this entry: no NUL character, no half of a surrogate pair.</summary>
    public static bool CanDescribe(string key, string value)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(value);
        return CanBeWritten(key) && CanBeWritten(value);
    }

    /// <summary>Why a file cannot hold a tensor, in a few words for a message; null where it can.</summary>
    public static string? Objection(SafetensorsTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return !CanName(tensor.Name) ? "a name that safetensors does not allow"
            : !tensor.DType.IsSafetensors ? tensor.DType.Name
            : !tensor.DType.FillsBytes(tensor.Shape.ElementCount) ? $"{tensor.DType.Name} {tensor.Shape}"
            : null;
    }

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync() => _regions.DisposeAsync();

    private static void CheckNames(ImmutableArray<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var names = new HashSet<string>(tensors.Length);
        foreach (var tensor in tensors)
        {
            if (!CanName(tensor.Name))
            {
                throw new ArgumentException($"A tensor may not be named {Quoted.Name(tensor.Name)}.", nameof(tensors));
            }

            if (!names.Add(tensor.Name))
            {
                throw new ArgumentException($"Two tensors are named {Quoted.Name(tensor.Name)}.", nameof(tensors));
            }

            if (!tensor.DType.IsSafetensors || !tensor.DType.FillsBytes(tensor.Shape.ElementCount))
            {
                throw new ArgumentException(
                    $"Tensor {Quoted.Name(tensor.Name)}: {tensor.DType.Name} {tensor.Shape} cannot be stored in a safetensors file.",
                    nameof(tensors));
            }
        }

        if (metadata?.FirstOrDefault(pair => !CanDescribe(pair.Key, pair.Value)) is { Key: not null } bad)
        {
            throw new ArgumentException(
                $"The metadata entry {Quoted.Name(bad.Key)} holds a NUL character or half of a surrogate pair.", nameof(metadata));
        }
    }

    // Readers refuse NUL, and half of a surrogate pair has no UTF-8: it would silently become another character.
    internal static bool CanBeWritten(string text)
    {
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            if (rest[0] == '\0' || Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
            {
                return false;
            }

            rest = rest[length..];
        }

        return true;
    }

    private static ReadOnlyMemory<byte> BuildHeader(
        ImmutableArray<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string> metadata, out long[] offsets)
    {
        var output = new ArrayBufferWriter<byte>(1024 + (tensors.Length * 128));
        output.Advance(SafetensorsConstants.LengthBytes);
        offsets = new long[tensors.Length + 1];
        // Names keep their characters, as in the reference; nothing here ends up in a page.
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            for (var i = 0; i < tensors.Length; i++)
            {
                var tensor = tensors[i];
                offsets[i + 1] = checked(offsets[i] + tensor.DType.ByteCount(tensor.Shape.ElementCount));
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype"u8, tensor.DType.Name);
                WriteNumbers(json, "shape"u8, tensor.Shape.Dimensions);
                WriteNumbers(json, "data_offsets"u8, [offsets[i], offsets[i + 1]]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        var padding = -(output.WrittenCount - SafetensorsConstants.LengthBytes) & (SafetensorsConstants.HeaderAlignment - 1);
        output.GetSpan(padding)[..padding].Fill((byte)' ');
        output.Advance(padding);
        var header = output.WrittenMemory.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - SafetensorsConstants.LengthBytes);
        for (var i = 0; i < offsets.Length; i++)
        {
            offsets[i] = checked(offsets[i] + header.Length);
        }

        return header;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        if (metadata.Count == 0)
        {
            return;
        }

        json.WriteStartObject(SafetensorsConstants.MetadataKey);
        // Sorted, so that the same content gives the same bytes.
        foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }
}
