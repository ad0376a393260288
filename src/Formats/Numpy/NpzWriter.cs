using System.Collections.Immutable;
using System.Text;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Writes one archive of arrays (<c>.npz</c>) as <c>numpy.savez</c> does: a stored entry a tensor, whole or not at all
/// (<see cref="AtomicFile"/>). The bytes of the tensors may come in any order and from several threads;
/// <see cref="CommitAsync"/> insists that all of them came.
/// </summary>
/// <remarks>
/// Types that NumPy lacks (BF16, the 8-bit floats, C32) are written as bytes of their size, as NumPy saves arrays of ml_dtypes,
/// and an entry <c>dtypes.json</c> tells which they are: so they are read back here bit for bit. Types of less than a byte and
/// blocks cannot be held. There is no place for metadata.
/// </remarks>
public sealed class NpzWriter : ITensorWriter
{
    private readonly ZipWriter _writer;

    private NpzWriter(ZipWriter writer, ImmutableArray<NumpyTensor> tensors)
    {
        _writer = writer;
        Tensors = tensors;
    }

    /// <summary>The tensors in the order of their bytes; writing in this order is sequential.</summary>
    public ImmutableArray<NumpyTensor> Tensors { get; }

    /// <inheritdoc/>
    public string Path => _writer.Path;

    /// <inheritdoc/>
    public long Length => _writer.Length;

    /// <summary>Begins a file: takes the space.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <param name="overwrite">Whether a file that is there, or comes there before the commit, is replaced.</param>
    /// <exception cref="ArgumentException">A tensor cannot be held (<see cref="Objection"/>) or is named twice, or the sizes do not fit 64 bits.</exception>
    /// <exception cref="CheckpointLimitException">The archive's directory would exceed what readers accept.</exception>
    /// <exception cref="IOException">The file cannot be made, something is there that may not be replaced, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static NpzWriter Create(string path, IEnumerable<NumpyTensor> tensors, bool overwrite = true) =>
        Create(path, length => AtomicFile.Create(path, length, overwrite), tensors);

    /// <summary>Begins a file of a folder, with which it will appear: takes the space.</summary>
    /// <param name="folder">The folder; it must be committed after the file.</param>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="tensors">What it will hold, in this order.</param>
    /// <inheritdoc cref="Create(string, IEnumerable{NumpyTensor}, bool)" path="/exception"/>
    public static NpzWriter Create(AtomicFolder folder, string name, IEnumerable<NumpyTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        return Create(System.IO.Path.Combine(folder.Path, name), length => folder.CreateFile(name, length), tensors);
    }

    /// <summary>Why a file cannot hold a tensor, in a few words for a message; null where it can.</summary>
    public static string? Objection(NumpyTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return CanName(tensor.Name) ? NpyWriter.Objection(tensor) : "a name that is no path inside an archive";
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

    private static NpzWriter Create(string path, Func<long, AtomicFile> create, IEnumerable<NumpyTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ImmutableArray<NumpyTensor> all = [.. tensors];
        var names = new HashSet<string>(all.Length, StringComparer.Ordinal);
        var records = new List<ZipRecordPlan>(all.Length + 1);
        foreach (var tensor in all)
        {
            if (Objection(tensor) is { } objection)
            {
                throw new ArgumentException(
                    $"Tensor {Quoted.Name(tensor.Name)}, {tensor.DType.Name} {tensor.Shape}, cannot be stored in an archive of NumPy arrays: {objection}.",
                    nameof(tensors));
            }

            if (!names.Add(tensor.Name))
            {
                throw new ArgumentException($"Two tensors are named {Quoted.Name(tensor.Name)}.", nameof(tensors));
            }

            records.Add(new ZipRecordPlan(EntryOf(tensor.Name), NpyHeaderWriter.Make(tensor.DType, tensor.Shape), tensor.Name, ByteCount(tensor)));
        }

        if (NpyDTypes.Write(all.Select(tensor => (tensor.Name, tensor.DType))) is { } dtypes)
        {
            records.Add(new ZipRecordPlan(NumpyConstants.DTypesEntry, dtypes));
        }

        return new NpzWriter(ZipWriter.Create(path, NumpyConstants.Archive, create, records), all);
    }

    private static long ByteCount(NumpyTensor tensor)
    {
        try
        {
            return tensor.DType.ByteCount(tensor.Shape.ElementCount);
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"Tensor {Quoted.Name(tensor.Name)} takes more than {long.MaxValue} bytes.", nameof(tensor), exception);
        }
    }

    private static string EntryOf(string name) => name + NumpyConstants.ArrayExtension;

    private static bool CanName(string name) =>
        SurrogatePairs.AreWhole(name)
        && ZipName.Objection(EntryOf(name)) is null
        && Encoding.UTF8.GetByteCount(EntryOf(name)) <= ushort.MaxValue;
}
