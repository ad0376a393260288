using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Parses a header: the fixed part, the metadata and the entries of the tensors. Every count and length is held against a
/// limit and against the bytes that remain before anything is allocated for it.
/// </summary>
/// <param name="bytes">The header from its first byte.</param>
/// <param name="limits">What is accepted.</param>
internal sealed class GgufHeaderReader(GgufHeaderBytes bytes, GgufLimits limits)
{
    // What lists are made for at once: more than most headers have, and little for one that claims to have many.
    private const int FirstCapacity = 512;

    // What an entry takes in memory beyond its text: the objects, and the places in lists and dictionaries while they grow.
    // A little more than was counted for a tensor, and twice what for a metadata entry.
    internal const int EntryBytes = 256;

    // Enough to see what a writer does wrong.
    private const int MostWarnings = 20;

    private readonly List<string> _warnings = [];
    private GgufArrayReader _arrays = null!;
    private GgufTextReader _texts = null!;
    private bool _isFirstVersion;

    // Counts and lengths have 4 bytes in version 1.
    private int LengthBytes => _isFirstVersion ? sizeof(uint) : sizeof(ulong);

    /// <summary>Reads the whole header.</summary>
    /// <exception cref="CheckpointException">It breaks a rule or exceeds a limit.</exception>
    public async ValueTask<GgufParsedHeader> ReadAsync(CancellationToken cancellationToken)
    {
        var version = await ReadVersionAsync(cancellationToken).ConfigureAwait(false);
        _isFirstVersion = version == 1;
        _arrays = new GgufArrayReader(bytes, limits, LengthBytes);
        _texts = new GgufTextReader(bytes, limits, LengthBytes);
        if (bytes.Remaining < 2 * LengthBytes)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.HeaderTooSmall, "the file ends before the counts of its header; it was cut: fetch it again.");
        }

        await bytes.EnsureAsync(2 * LengthBytes, cancellationToken).ConfigureAwait(false);
        // A name or a key is not empty, but the least that is checked here is what ggml's own fields take.
        var tensorCount = TakeCount(
            "tensors",
            (2 * LengthBytes) + (2 * sizeof(uint)) + (_isFirstVersion ? sizeof(uint) : 0),
            limits.MaximumTensors,
            nameof(GgufLimits.MaximumTensors));
        var keyCount = TakeCount("metadata entries", LengthBytes + 1 + sizeof(uint) + 1, limits.MaximumKeys, nameof(GgufLimits.MaximumKeys));
        var metadata = await ReadMetadataAsync(keyCount, cancellationToken).ConfigureAwait(false);
        var entries = await ReadEntriesAsync(tensorCount, cancellationToken).ConfigureAwait(false);
        return new GgufParsedHeader(version, bytes.IsBigEndian, metadata, entries, bytes.Position, _warnings);
    }

    private async ValueTask<int> ReadVersionAsync(CancellationToken cancellationToken)
    {
        const int fixedBytes = 8;
        if (bytes.Remaining < fixedBytes)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.HeaderTooSmall,
                $"the file has {bytes.Remaining} bytes, and magic and version of a GGUF file alone take {fixedBytes}. It is empty or was "
                + "cut; fetch it again.");
        }

        await bytes.EnsureAsync(fixedBytes, cancellationToken).ConfigureAwait(false);
        var magic = bytes.Available[..GgufConstants.Magic.Length].ToArray();
        if (!magic.AsSpan().SequenceEqual(GgufConstants.Magic))
        {
            throw bytes.Invalid(
                CheckpointErrorCode.UnknownFormat,
                $"the file begins with {Convert.ToHexString(magic)} ({Quoted.Plain(Encoding.Latin1.GetString(magic))}), not with GGUF: "
                + "it is something else, whatever its name says.");
        }

        _ = bytes.Take(magic.Length);
        // As ggml looks at it: a small number whose low half is 0 was written the other way round.
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.Available);
        var asStored = version;
        if (version != 0 && (version & 0xFFFF) == 0)
        {
            bytes.IsBigEndian = true;
            version = BinaryPrimitives.ReverseEndianness(version);
        }

        if (version is 0 or > GgufConstants.Version)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.UnknownVersion,
                $"the version is {version}{(bytes.IsBigEndian ? $" (big-endian; {asStored} if it is not)" : "")}, and there are versions 1 to {GgufConstants.Version}: "
                + (version == 0 ? "the file is damaged." : "the file is damaged, or newer than this program."));
        }

        if (bytes.IsBigEndian && version < GgufConstants.Version)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.UnknownVersion,
                $"the file is big-endian and of version {version}; only version {GgufConstants.Version} may be.");
        }

        _ = bytes.Take(sizeof(uint));
        return (int)version;
    }

    private async ValueTask<OrderedDictionary<string, object>> ReadMetadataAsync(int count, CancellationToken cancellationToken)
    {
        var metadata = new OrderedDictionary<string, object>(Math.Min(count, FirstCapacity));
        for (var i = 0; i < count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            bytes.Expand(EntryBytes);
            var key = await _texts.ReadNameAsync("metadata key", limits.MaximumKeyBytes, nameof(GgufLimits.MaximumKeyBytes), cancellationToken)
                .ConfigureAwait(false);
            if (key.Length == 0)
            {
                throw bytes.Invalid(CheckpointErrorCode.MetadataInvalid, $"metadata entry {i} has an empty key.");
            }

            // Before the value, so that one of a gigabyte is not read for nothing.
            if (metadata.ContainsKey(key))
            {
                throw bytes.Invalid(CheckpointErrorCode.MetadataInvalid, $"the metadata has the key {Quoted.Name(key)} twice.");
            }

            await bytes.EnsureAsync(sizeof(uint), cancellationToken).ConfigureAwait(false);
            metadata.Add(key, await ReadValueAsync(key, (GgufValueType)bytes.TakeUInt32(), cancellationToken).ConfigureAwait(false));
        }

        return metadata;
    }

    private async ValueTask<object> ReadValueAsync(string key, GgufValueType type, CancellationToken cancellationToken)
    {
        switch (type)
        {
            case GgufValueType.STRING:
                return await ReadStringAsync(key, cancellationToken).ConfigureAwait(false);
            case GgufValueType.ARRAY:
                return await _arrays.ReadAsync(key, cancellationToken).ConfigureAwait(false);
            case var _ when !type.IsKnown:
                throw bytes.Invalid(
                    CheckpointErrorCode.MetadataInvalid,
                    $"the metadata value of {Quoted.Name(key)} has the type {(int)type}, and there are types 0 to "
                    + $"{(int)GgufValueType.FLOAT64}: the file is damaged.");
            default:
                await bytes.EnsureAsync(type.Size, cancellationToken).ConfigureAwait(false);
                return GgufScalar.Read(type, bytes.Take(type.Size), bytes.IsBigEndian);
        }
    }

    private async ValueTask<string> ReadStringAsync(string key, CancellationToken cancellationToken)
    {
        var (text, isValid) = await _texts.ReadValueAsync(key, cancellationToken).ConfigureAwait(false);
        if (!isValid && _warnings.Count < MostWarnings)
        {
            // ggml looks at no string; a description that some program cut in the middle of a character keeps nobody from loading.
            _warnings.Add(
                $"the metadata value of {Quoted.Name(key)} is not valid UTF-8; what is wrong in it is shown, and written by convert, as U+FFFD.");
        }

        return text;
    }

    private async ValueTask<List<GgufEntry>> ReadEntriesAsync(int count, CancellationToken cancellationToken)
    {
        var entries = new List<GgufEntry>(Math.Min(count, FirstCapacity));
        var names = new HashSet<string>(Math.Min(count, FirstCapacity));
        for (var i = 0; i < count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            bytes.Expand(EntryBytes);
            var position = bytes.Position;
            var name = await _texts.ReadNameAsync("tensor name", limits.MaximumNameBytes, nameof(GgufLimits.MaximumNameBytes), cancellationToken)
                .ConfigureAwait(false);
            if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal))
            {
                throw bytes.Invalid(
                    CheckpointErrorCode.TensorNameInvalid,
                    $"tensor {i} has {(name.Length == 0 ? "an empty name" : $"a NUL in its name, {Quoted.Name(name)}")}.");
            }

            if (!names.Add(name))
            {
                throw bytes.Invalid(CheckpointErrorCode.DuplicateTensor, "the file has two tensors of this name.", name);
            }

            await bytes.EnsureAsync(sizeof(uint), cancellationToken).ConfigureAwait(false);
            var rank = bytes.TakeUInt32();
            // Before the dimensions are read: readers that did not look wrote beyond their arrays (antirez/gguf-tools #25).
            if (rank > GgufConstants.MaximumRank)
            {
                throw bytes.Invalid(
                    CheckpointErrorCode.HeaderFieldInvalid,
                    $"it has {rank} dimensions, and a ggml tensor has at most {GgufConstants.MaximumRank}.",
                    name);
            }

            await bytes.EnsureAsync(((int)rank * LengthBytes) + sizeof(uint) + sizeof(ulong), cancellationToken).ConfigureAwait(false);
            var shape = TakeShape((int)rank, name);
            entries.Add(new GgufEntry(name, (int)bytes.TakeUInt32(), shape, bytes.TakeUInt64(), position));
        }

        return entries;
    }

    // The fastest dimension comes first in the file, and last in a shape.
    private Shape TakeShape(int rank, string tensor)
    {
        Span<long> dimensions = stackalloc long[GgufConstants.MaximumRank];
        dimensions = dimensions[..rank];
        for (var i = rank - 1; i >= 0; i--)
        {
            var dimension = TakeLength();
            dimensions[i] = dimension <= long.MaxValue
                ? (long)dimension
                : throw bytes.Invalid(
                    CheckpointErrorCode.HeaderFieldInvalid,
                    $"its dimension {rank - 1 - i} is {unchecked((long)dimension)}; none is negative.",
                    tensor);
        }

        try
        {
            return new Shape(dimensions);
        }
        catch (OverflowException exception)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.SizeOverflow,
                $"the number of elements of [{string.Join(", ", dimensions.ToArray())}] does not fit 63 bits.",
                tensor,
                exception);
        }
    }

    private int TakeCount(string what, int minimumBytes, int maximum, string option)
    {
        var count = TakeLength();
        if (count > (ulong)(bytes.Remaining / minimumBytes))
        {
            throw bytes.Invalid(
                CheckpointErrorCode.HeaderOutOfFile,
                $"the header says it has {count} {what}, and the {bytes.Remaining} bytes that follow have room for "
                + $"{bytes.Remaining / minimumBytes} at most: the file was cut, or is damaged.");
        }

        return count <= (ulong)maximum ? (int)count : throw bytes.Beyond($"number of {what}", count, maximum, option);
    }

    private ulong TakeLength() => _isFirstVersion ? bytes.TakeUInt32() : bytes.TakeUInt64();
}
