using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats;

/// <summary>
/// A file followed by sections that are no range of it: arrays that it holds compressed, or inside a pickle. Every tensor has
/// thus one file and one range of bytes, whatever form its bytes had. Owns the file and the sections; as safe for parallel
/// readers as they are.
/// </summary>
internal class AppendedSource : ISequentialByteSource, IFileByteSource, ILayeredByteSource
{
    private readonly IByteSource[] _parts;

    // Where each part ends, in bytes from the start of the file.
    private readonly long[] _ends;

    private AppendedSource(IByteSource[] parts)
    {
        _parts = parts;
        _ends = new long[parts.Length];
        long end = 0;
        for (var i = 0; i < parts.Length; i++)
        {
            _ends[i] = end = checked(end + parts[i].Length);
        }
    }

    /// <inheritdoc/>
    public string Name => _parts[0].Name;

    /// <inheritdoc/>
    public long Length => _ends[^1];

    /// <summary>The file.</summary>
    public IByteSource Under => _parts[0];

    /// <summary>Puts sections behind a file.</summary>
    /// <param name="file">The file; its name is that of the whole.</param>
    /// <param name="sections">
    /// The sections: the first begins where the file ends, each other where the one before it ends. If they and the file can
    /// read on the calling thread, the result can.
    /// </param>
    /// <returns>
    /// A source that disposes the file and the sections; <paramref name="file"/> itself where there are no sections.
    /// </returns>
    /// <exception cref="OverflowException">The sizes do not fit 64 bits together; nothing is disposed then.</exception>
    [SuppressMessage("Reliability", "CA2000:Dispose objects before losing scope", Justification = "The caller owns what is returned.")]
    public static IByteSource Over(IByteSource file, IReadOnlyList<IByteSource> sections)
    {
        if (sections.Count == 0)
        {
            return file;
        }

        IByteSource[] parts = [file, .. sections];
        return parts.All(part => part is ISynchronousByteSource) ? new OnCallingThread(parts) : new AppendedSource(parts);
    }

    /// <inheritdoc/>
    public bool IsSequentialAt(long offset)
    {
        var (part, start) = PartAt(offset);
        return _parts[part].IsSequentialAt(offset - start);
    }

    /// <inheritdoc/>
    public FileRange? FindFileRange(long offset, long length)
    {
        var (part, start) = PartAt(offset);
        return length <= _ends[part] - offset ? _parts[part].FindFileRange(offset - start, length) : null;
    }

    /// <inheritdoc/>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        var (part, start) = PartAt(offset);
        return _parts[part].ReadAsync(offset - start, destination, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default)
    {
        foreach (var part in _parts)
        {
            await part.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        List<Exception> failures = [];
        // The sections first: they may read from the file.
        foreach (var part in Enumerable.Reverse(_parts))
        {
            try
            {
                await part.DisposeAsync().ConfigureAwait(false);
            }
#pragma warning disable CA1031 // Whatever one part throws, the others are disposed; all of it is thrown below.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                failures.Add(failure);
            }
        }

        if (failures.Count > 0)
        {
            throw new AggregateException($"Not everything of {Name} could be closed.", failures);
        }
    }

    // A read ends with the part it begins in, as it may: each part fills what it can of the destination, and never more than it
    // has. Behind the end the last part answers, with 0 bytes.
    private (int Index, long Start) PartAt(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        var (low, high) = (0, _ends.Length - 1);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            (low, high) = _ends[middle] > offset ? (low, middle) : (middle + 1, high);
        }

        return (low, low == 0 ? 0 : _ends[low - 1]);
    }

    private sealed class OnCallingThread(IByteSource[] parts) : AppendedSource(parts), ISynchronousByteSource
    {
        public int Read(long offset, Span<byte> destination)
        {
            var (part, start) = PartAt(offset);
            return ((ISynchronousByteSource)_parts[part]).Read(offset - start, destination);
        }
    }
}
