using System.Buffers.Binary;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The storages of a stream before 1.6: one behind another in the order of the list of keys, each after its number of
/// elements. Only the pickle says how large an element is, so all references in it are needed before the first is found.
/// </summary>
internal sealed class StreamStorages : TorchStorages
{
    private const int CountBytes = 8;

    // Counts are read with what follows them: tensors of a few elements then need one read for many.
    private const int WindowBytes = 4096;

    private readonly CheckpointFile _file;
    private readonly Dictionary<string, TorchStorage> _storages;

    private StreamStorages(CheckpointFile file, Dictionary<string, TorchStorage> storages, bool isBigEndian)
    {
        (_file, _storages, IsBigEndian) = (file, storages, isBigEndian);
    }

    /// <inheritdoc/>
    public override int Count => _storages.Count;

    /// <inheritdoc/>
    public override bool IsBigEndian { get; }

    /// <summary>The byte after the last storage.</summary>
    public long End { get; private init; }

    /// <summary>Finds the storages.</summary>
    /// <param name="file">The file.</param>
    /// <param name="references">All that the pickle of the object names.</param>
    /// <param name="keys">The value of the last pickle.</param>
    /// <param name="start">Where that pickle ends.</param>
    /// <param name="saysBigEndian">
    /// Whether the stream says that its machine was big-endian. PyTorch turns counts and elements round there and writes them as
    /// everywhere else (THPStorage_writeFileRaw), so that its own files say one thing and are the other; what other writers mean,
    /// the counts show.
    /// </param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="InvalidCheckpointException">Keys, counts and sizes do not agree.</exception>
    public static async ValueTask<StreamStorages> ReadAsync(
        CheckpointFile file,
        IReadOnlyList<PickleStorageReference> references,
        object keys,
        long start,
        bool saysBigEndian,
        CancellationToken cancellationToken)
    {
        var expected = new Dictionary<string, TorchStorageId>();
        foreach (var reference in references)
        {
            var id = TorchStorageId.Parse(reference, file, null);
            if (!expected.TryAdd(id.Key, id) && expected[id.Key].ByteLength != id.ByteLength)
            {
                throw Invalid(
                    file,
                    CheckpointErrorCode.SizeMismatch,
                    $"the pickle names storage {Quoted.Name(id.Key)} with {expected[id.Key].ByteLength} bytes and with {id.ByteLength}");
            }
        }

        if (keys is not PickleList { Items: { } listed })
        {
            throw Invalid(file, CheckpointErrorCode.PickleInvalid, "the last pickle is no list of the storages' keys");
        }

        var found = new OrderedDictionary<string, (long Offset, long ByteLength)>(listed.Count);
        bool? isBigEndian = null;
        var window = new byte[WindowBytes];
        var (windowAt, windowLength, position) = (0L, 0, start);
        foreach (var item in listed)
        {
            var key = item as string ?? throw Invalid(file, CheckpointErrorCode.PickleInvalid, "a key in the list of storages is no text");
            if (!expected.TryGetValue(key, out var id))
            {
                throw Invalid(file, CheckpointErrorCode.StorageInvalid, $"the list of storages has key {Quoted.Name(key)}, which the pickle of the object never names", position);
            }

            if (position > file.Length - CountBytes)
            {
                throw Truncated(file, key, position, CountBytes);
            }

            if (position < windowAt || position + CountBytes > windowAt + windowLength)
            {
                (windowAt, windowLength) = (position, (int)Math.Min(WindowBytes, file.Length - position));
                await file.Source.ReadExactlyAsync(windowAt, window.AsMemory(0, windowLength), cancellationToken).ConfigureAwait(false);
            }

            var field = window.AsSpan((int)(position - windowAt), CountBytes);
            var count = BinaryPrimitives.ReadInt64LittleEndian(field);
            var size = id.DType?.Size ?? 1;
            var expectedCount = id.ByteLength / size;
            var isSwapped = saysBigEndian && count != expectedCount && BinaryPrimitives.ReverseEndianness(count) == expectedCount;
            if (expectedCount != 0 && isSwapped != (isBigEndian ?? isSwapped))
            {
                throw Invalid(file, CheckpointErrorCode.SizeMismatch, $"storage {Quoted.Name(key)} says how many elements it has in another byte order than those before it", position);
            }

            if (count != expectedCount && !isSwapped)
            {
                throw Invalid(
                    file, CheckpointErrorCode.SizeMismatch, $"storage {Quoted.Name(key)} says that it has {count} elements, and the pickle says {expectedCount}", position);
            }

            // A count of zero is the same in either order.
            isBigEndian = expectedCount == 0 ? isBigEndian : isSwapped;
            position += CountBytes;
            if (id.ByteLength > file.Length - position)
            {
                throw Truncated(file, key, position, id.ByteLength);
            }

            if (!found.TryAdd(key, (position, id.ByteLength)))
            {
                throw Invalid(file, CheckpointErrorCode.StorageInvalid, $"the list of storages has key {Quoted.Name(key)} twice", position);
            }

            position += id.ByteLength;
        }

        var order = isBigEndian ?? false;
        var storages = new Dictionary<string, TorchStorage>(found.Count);
        foreach (var (key, range) in found)
        {
            storages.Add(key, new TorchStorage(storages.Count, range.Offset, range.ByteLength) { IsBigEndian = order });
        }

        return new StreamStorages(file, storages, order) { End = position };
    }

    /// <inheritdoc/>
    public override TorchStorage Find(string key, long byteLength, string? tensor) =>
        _storages.TryGetValue(key, out var storage)
            ? storage
            : throw Invalid(
                _file, CheckpointErrorCode.StorageInvalid, $"it views storage {Quoted.Name(key)}, which is not in the list of storages", tensor: tensor);

    private static InvalidCheckpointException Truncated(CheckpointFile file, string key, long position, long needed) => new(
        CheckpointErrorCode.FileTruncated,
        file.Path,
        $"storage {Quoted.Name(key)} needs {needed} bytes here, and the file has {Math.Max(0, file.Length - position)} more: it was cut; fetch it again.",
        TorchConstants.Format,
        position);

    private static InvalidCheckpointException Invalid(
        CheckpointFile file, CheckpointErrorCode code, string problem, long? offset = null, string? tensor = null) =>
        new(code, file.Path, $"{problem}; the file is broken or made to look like a checkpoint.", TorchConstants.Format, offset, tensor);
}
