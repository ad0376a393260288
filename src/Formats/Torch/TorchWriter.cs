using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Writes one PyTorch file, as <c>torch.save</c> writes a dict of tensors since 1.6: a zip archive with a pickle and one record a
/// storage, whole or not at all (<see cref="AtomicFile"/>), which <c>torch.load(weights_only=True)</c> reads. The bytes of the
/// tensors may come in any order and from several threads; <see cref="CommitAsync"/> insists that all of them came. Tied tensors
/// are views of one storage, and only the one that they are tied to is written.
/// </summary>
/// <remarks>
/// Types of 8 bits, U16, U32, U64 and C32 are read by the versions of PyTorch that have them (2.1 to 2.7); all others by every
/// version since 1.6, and with <c>weights_only</c> since 1.13. There is no place for metadata: what a dict holds beside tensors is
/// in the way of whoever takes it for a state dict.
/// </remarks>
public sealed class TorchWriter : ITensorWriter
{
    // What PyTorch calls the folder of a file that it writes to a stream.
    private const string Root = "archive/";

    private static readonly byte[] ByteOrder = "little"u8.ToArray();

    // kProducedFileFormatVersion of caffe2/serialize/versions.h, which is 3 since 1.6 for files without code.
    private static readonly byte[] Version = "3\n"u8.ToArray();

    private readonly ZipWriter _writer;

    private TorchWriter(ZipWriter writer, ImmutableArray<TorchTensor> tensors)
    {
        _writer = writer;
        Tensors = tensors;
    }

    /// <summary>The tensors in the order of the dict; writing those that are not tied in this order is sequential.</summary>
    public ImmutableArray<TorchTensor> Tensors { get; }

    /// <inheritdoc/>
    public string Path => _writer.Path;

    /// <inheritdoc/>
    public long Length => _writer.Length;

    /// <summary>Begins a file: takes the space.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <param name="overwrite">Whether a file that is there, or comes there before the commit, is replaced.</param>
    /// <exception cref="ArgumentException">
    /// A tensor cannot be held (<see cref="Objection"/>), is named twice or tied to none of its dtype and shape, or the sizes do
    /// not fit 64 bits.
    /// </exception>
    /// <exception cref="CheckpointLimitException">The pickle, the archive's directory or what either takes in memory would exceed what readers accept.</exception>
    /// <exception cref="IOException">The file cannot be made, something is there that may not be replaced, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static TorchWriter Create(string path, IEnumerable<TorchTensor> tensors, bool overwrite = true) =>
        Create(path, length => AtomicFile.Create(path, length, overwrite), tensors);

    /// <summary>Begins a file of a folder, with which it will appear: takes the space.</summary>
    /// <param name="folder">The folder; it must be committed after the file.</param>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <inheritdoc cref="Create(string, IEnumerable{TorchTensor}, bool)" path="/exception"/>
    public static TorchWriter Create(AtomicFolder folder, string name, IEnumerable<TorchTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        return Create(System.IO.Path.Combine(folder.Path, name), length => folder.CreateFile(name, length), tensors);
    }

    /// <summary>Why a file cannot hold a tensor, in a few words for a message; null where it can.</summary>
    public static string? Objection(TorchTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return !SurrogatePairs.AreWhole(tensor.Name) ? "a name with half of a surrogate pair"
            : !TorchPickleWriter.CanWrite(tensor.DType) ? tensor.DType.Name
            : null;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) =>
        _writer.WriteAsync(name, offset, bytes, cancellationToken);

    /// <inheritdoc/>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes) => _writer.Write(name, offset, bytes);

    /// <inheritdoc/>
    public ValueTask CommitAsync(CancellationToken cancellationToken = default) => _writer.CommitAsync(cancellationToken);

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync() => _writer.DisposeAsync();

    private static TorchWriter Create(string path, Func<long, AtomicFile> create, IEnumerable<TorchTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ImmutableArray<TorchTensor> all = [.. tensors];
        var keys = AssignKeys(all);
        List<ZipRecordPlan> records;
        try
        {
            records = PlanRecords(path, all, keys);
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"The tensors take more than {long.MaxValue} bytes.", nameof(tensors), exception);
        }

        return new TorchWriter(ZipWriter.Create(path, TorchConstants.Format, CreateReadable, records), all);

        AtomicFile CreateReadable(long length)
        {
            ThrowIfUnreadable(path, length, records[0].Content, all.Count(tensor => tensor.TiedTo is null));
            return create(length);
        }
    }

    // What readers refuse by their defaults is not written: the pickle is read as they will read it. Tensors of some kilobytes
    // are never too many, since the limits on memory grow with the file.
    private static void ThrowIfUnreadable(string path, long length, ReadOnlyMemory<byte> pickle, int storages)
    {
        var limits = TorchLimits.Default;
        var file = new CheckpointFile(System.IO.Path.GetFileName(path), path, TorchConstants.Format, new MemorySource(pickle)) { Length = length };
        var globals = new TorchGlobals(limits.AllowUnknownGlobals, isTorchScript: false);
        var settings = limits.ForPickle(globals.Verdict, path, TorchConstants.Format, 0, TorchContent.HalfOfRest(file, pickle.Length));
        var header = new TorchHeader(TorchContainer.Zip, null, IsBigEndian: false, Root, 0, 0);
        try
        {
            _ = TorchContent.Make(file, new PickleReader(pickle, settings).Read(), new PlannedStorages(storages), limits, pickle.Length, header, CancellationToken.None);
        }
        catch (CheckpointLimitException exception)
        {
            throw new CheckpointLimitException(
                exception.Limit, exception.Actual, exception.Maximum, "the number of shards", path, TorchConstants.Format);
        }
    }

    // The storages are numbered in the order in which the pickle first names them, as torch.save does.
    private static int[] AssignKeys(ImmutableArray<TorchTensor> tensors)
    {
        var byName = new Dictionary<string, TorchTensor>(tensors.Length, StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            if (Objection(tensor) is { } objection)
            {
                throw new ArgumentException(
                    $"Tensor {Quoted.Name(tensor.Name)}, {tensor.DType.Name} {tensor.Shape}, cannot be stored in a PyTorch file: {objection}.", nameof(tensors));
            }

            if (!byName.TryAdd(tensor.Name, tensor))
            {
                throw new ArgumentException($"Two tensors are named {Quoted.Name(tensor.Name)}.", nameof(tensors));
            }
        }

        var keyOf = new Dictionary<string, int>(tensors.Length, StringComparer.Ordinal);
        var keys = new int[tensors.Length];
        for (var i = 0; i < keys.Length; i++)
        {
            var tensor = tensors[i];
            var owner = tensor.TiedTo ?? tensor.Name;
            if (tensor.TiedTo is not null && !(byName.TryGetValue(owner, out var target) && IsTie(tensor, target)))
            {
                throw new ArgumentException(
                    $"Tensor {Quoted.Name(tensor.Name)} is tied to {Quoted.Name(owner)}, which is no tensor of its dtype and shape with a storage of its own.",
                    nameof(tensors));
            }

            if (!keyOf.TryGetValue(owner, out keys[i]))
            {
                keys[i] = keyOf.Count;
                keyOf.Add(owner, keys[i]);
            }
        }

        return keys;

        static bool IsTie(TorchTensor tensor, TorchTensor target) =>
            target.TiedTo is null && target.DType == tensor.DType && target.Shape == tensor.Shape;
    }

    // In the order of torch.save: the pickle, the byte order, the storages, the version, what tells archives apart.
    private static List<ZipRecordPlan> PlanRecords(string path, ImmutableArray<TorchTensor> tensors, int[] keys)
    {
        var pickle = TorchPickleWriter.Write(tensors, keys);
        if (pickle.Length > TorchLimits.DefaultMaximumPickleBytes)
        {
            throw new CheckpointLimitException("length of the pickle", pickle.Length, TorchLimits.DefaultMaximumPickleBytes, "the number of shards", path, TorchConstants.Format);
        }

        var storages = new ZipRecordPlan[tensors.Count(tensor => tensor.TiedTo is null)];
        for (var i = 0; i < tensors.Length; i++)
        {
            var tensor = tensors[i];
            if (tensor.TiedTo is null)
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"{Root}{TorchConstants.StorageFolder}{keys[i]}");
                storages[keys[i]] = new ZipRecordPlan(name, default, tensor.Name, tensor.DType.ByteCount(tensor.Shape.ElementCount));
            }
        }

        return
        [
            new(Root + TorchConstants.PickleRecord, pickle),
            new(Root + TorchConstants.ByteOrderRecord, ByteOrder),
            .. storages,
            new(Root + TorchConstants.VersionRecords[0], Version),
            new(Root + ".data/serialization_id", SerializationId(pickle.Span, storages.Length)),
        ];
    }

    // Forty digits that differ from archive to archive, which PyTorch makes of the names of records and of their CRC-32. These
    // are made of what is known before the bytes are; the same tensors give the same file.
    private static byte[] SerializationId(ReadOnlySpan<byte> pickle, int storages) =>
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{storages:D20}{Crc32.Compute(pickle):D20}"));
}
