namespace IlgpuLoader.Formats;

/// <summary>
/// The tensors of a file that is written: puts bytes in their places, from any thread, and counts them, so that no file is
/// committed with a part missing. Owns the file.
/// </summary>
internal sealed class TensorRegions : IAsyncDisposable
{
    private readonly AtomicFile _file;
    private readonly IReadOnlyList<TensorRegion> _regions;
    private readonly Dictionary<string, int> _indexes;
    private readonly long[] _written;

    /// <summary>Takes over a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="regions">The tensors, which do not overlap and whose names differ.</param>
    public TensorRegions(AtomicFile file, IReadOnlyList<TensorRegion> regions)
    {
        _file = file;
        _regions = regions;
        _written = new long[regions.Count];
        _indexes = new Dictionary<string, int>(regions.Count);
        for (var i = 0; i < regions.Count; i++)
        {
            _indexes.Add(regions[i].Name, i);
        }
    }

    /// <inheritdoc cref="ITensorWriter.Path"/>
    public string Path => _file.Path;

    /// <inheritdoc cref="ITensorWriter.WriteAsync"/>
    public async ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var position = Locate(name, offset, bytes.Length, out var index);
        await _file.WriteAsync(position, bytes, cancellationToken).ConfigureAwait(false);
        Interlocked.Add(ref _written[index], bytes.Length);
    }

    /// <inheritdoc cref="ITensorWriter.Write"/>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        _file.Write(Locate(name, offset, bytes.Length, out var index), bytes);
        Interlocked.Add(ref _written[index], bytes.Length);
    }

    /// <inheritdoc cref="ITensorWriter.CommitAsync"/>
    public ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        ThrowIfIncomplete();
        return _file.CommitAsync(cancellationToken);
    }

    /// <summary>Refuses to go on while bytes of a tensor are missing.</summary>
    /// <exception cref="InvalidOperationException">A tensor was not written whole.</exception>
    public void ThrowIfIncomplete()
    {
        for (var i = 0; i < _regions.Count; i++)
        {
            if (_written[i] != _regions[i].ByteLength)
            {
                throw new InvalidOperationException(
                    $"{_file.Path}: {_written[i]} of {_regions[i].ByteLength} bytes of tensor {Quoted.Name(_regions[i].Name)} were written.");
            }
        }
    }

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private long Locate(string name, long offset, int length, out int index)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (!_indexes.TryGetValue(name, out index))
        {
            throw new ArgumentException($"There is no tensor {Quoted.Name(name)} in this file.", nameof(name));
        }

        var region = _regions[index];
        if (length > region.ByteLength || offset > region.ByteLength - length)
        {
            throw new ArgumentException(
                $"Tensor {Quoted.Name(name)} has {region.ByteLength} bytes; {length} at {offset} are beyond it.", nameof(offset));
        }

        return region.Offset + offset;
    }
}
