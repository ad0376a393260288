namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Writes one array (<c>.npy</c>) as <c>numpy.save</c> does, whole or not at all (<see cref="AtomicFile"/>). The bytes may come
/// in any order and from several threads; <see cref="CommitAsync"/> insists that all of them came.
/// </summary>
/// <remarks>
/// A type that NumPy lacks is written as bytes of its size, and nothing in such a file tells which it is: whoever writes one
/// keeps that elsewhere, as <see cref="NpzWriter"/> does.
/// </remarks>
public sealed class NpyWriter : ITensorWriter
{
    private readonly TensorRegions _regions;

    private NpyWriter(AtomicFile file, NumpyTensor tensor, int headerBytes, long length)
    {
        Length = length;
        _regions = new TensorRegions(file, [new TensorRegion(tensor.Name, headerBytes, length - headerBytes)]);
    }

    /// <inheritdoc/>
    public string Path => _regions.Path;

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>Begins a file: takes the space and writes the header.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="tensor">What it will hold; its name is no part of the file.</param>
    /// <param name="overwrite">Whether a file that is there, or comes there before the commit, is replaced.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <exception cref="ArgumentException">No array can hold the tensor (<see cref="Objection"/>), or its size does not fit 64 bits.</exception>
    /// <exception cref="IOException">The file cannot be made, something is there that may not be replaced, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static Task<NpyWriter> CreateAsync(
        string path, NumpyTensor tensor, bool overwrite = true, CancellationToken cancellationToken = default) =>
        CreateAsync(length => AtomicFile.Create(path, length, overwrite), tensor, cancellationToken);

    /// <summary>Begins a file of a folder, with which it will appear: takes the space and writes the header.</summary>
    /// <param name="folder">The folder; it must be committed after the file.</param>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="tensor">What it will hold; its name is no part of the file.</param>
    /// <param name="cancellationToken">Cancels the writing of the header.</param>
    /// <inheritdoc cref="CreateAsync(string, NumpyTensor, bool, CancellationToken)" path="/exception"/>
    public static Task<NpyWriter> CreateAsync(
        AtomicFolder folder, string name, NumpyTensor tensor, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        return CreateAsync(length => folder.CreateFile(name, length), tensor, cancellationToken);
    }

    /// <summary>Why no array can hold a tensor, in a few words for a message; null where one can.</summary>
    public static string? Objection(NumpyTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return !NpyType.CanHold(tensor.DType) ? tensor.DType.Name
            : tensor.Shape.Rank > NumpyConstants.MaximumRank ? $"{tensor.Shape.Rank} dimensions"
            : null;
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

    private static async Task<NpyWriter> CreateAsync(Func<long, AtomicFile> create, NumpyTensor tensor, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (Objection(tensor) is { } objection)
        {
            throw new ArgumentException($"Tensor {Quoted.Name(tensor.Name)} cannot be a NumPy array: {objection}.", nameof(tensor));
        }

        var header = NpyHeaderWriter.Make(tensor.DType, tensor.Shape);
        long length;
        try
        {
            length = checked(header.Length + tensor.DType.ByteCount(tensor.Shape.ElementCount));
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"The tensor takes more than {long.MaxValue} bytes.", nameof(tensor), exception);
        }

        var file = create(length);
        try
        {
            await file.WriteAsync(0, header, cancellationToken).ConfigureAwait(false);
            return new NpyWriter(file, tensor, header.Length, length);
        }
        catch
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
