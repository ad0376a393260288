using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats;

/// <summary>
/// A source whose numbers come out with their bytes turned round, wherever a read begins and ends: what a big-endian file
/// is to everything that expects little-endian bytes. Owns the source it reads from; as safe for parallel readers as that.
/// </summary>
internal class ByteOrderSource : ISequentialByteSource, IFileByteSource, ILayeredByteSource
{
    // The largest number, in bytes.
    private const int LargestNumber = 8;

    private readonly SwappedRange[] _ranges;

    private ByteOrderSource(IByteSource inner, SwappedRange[] ranges)
    {
        Inner = inner;
        _ranges = ranges;
    }

    /// <inheritdoc/>
    public string Name => Inner.Name;

    /// <inheritdoc/>
    public long Length => Inner.Length;

    /// <inheritdoc/>
    public IByteSource Under => Inner;

    /// <summary>Where the bytes come from.</summary>
    protected IByteSource Inner { get; }

    /// <summary>Turns round the numbers of some ranges; all other bytes stay as they are.</summary>
    /// <param name="inner">Where the bytes come from. If it can read on the calling thread, the result can.</param>
    /// <param name="ranges">The ranges, in any order, without overlap.</param>
    /// <returns>A source that disposes <paramref name="inner"/>.</returns>
    [SuppressMessage("Reliability", "CA2000:Dispose objects before losing scope", Justification = "The caller owns what is returned.")]
    public static ByteOrderSource Over(IByteSource inner, IEnumerable<SwappedRange> ranges)
    {
        SwappedRange[] sorted = [.. ranges.Where(range => range.Length > 0 && range.Fields.Length > 0).OrderBy(range => range.Offset)];
        return inner is ISynchronousByteSource synchronous ? new OnCallingThread(synchronous, sorted) : new ByteOrderSource(inner, sorted);
    }

    /// <inheritdoc/>
    public bool IsSequentialAt(long offset) => Inner.IsSequentialAt(offset);

    /// <inheritdoc/>
    /// <remarks>Ranges in which nothing is turned round are as they are in the file.</remarks>
    public FileRange? FindFileRange(long offset, long length)
    {
        var next = FirstEndingBehind(offset);
        return next < _ranges.Length && _ranges[next].Offset - offset < length ? null : Inner.FindFileRange(offset, length);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        var read = await Inner.ReadAsync(offset, destination, cancellationToken).ConfigureAwait(false);
        var (first, last) = Swap(offset, destination.Span[..read]);
        if (first.Size + last.Size > 0)
        {
            var whole = new byte[LargestNumber];
            await MendAsync(first).ConfigureAwait(false);
            await MendAsync(last).ConfigureAwait(false);

            async ValueTask MendAsync(TornNumber torn)
            {
                await Inner.ReadExactlyAsync(torn.Offset, whole.AsMemory(0, torn.Size), cancellationToken).ConfigureAwait(false);
                Mend(torn, whole, offset, destination.Span[..read]);
            }
        }

        return read;
    }

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => Inner.EnsureUnchangedAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return Inner.DisposeAsync();
    }

    // Fills in the bytes of a number that a read has only in part; all of it has been read by now.
    private static void Mend(TornNumber torn, Span<byte> whole, long offset, Span<byte> bytes)
    {
        if (torn.Size == 0)
        {
            return;
        }

        whole = whole[..torn.Size];
        ByteOrder.Swap(whole, torn.Size);
        var from = Math.Max(torn.Offset, offset);
        var to = Math.Min(torn.Offset + torn.Size, offset + bytes.Length);
        if (to > from)
        {
            whole[(int)(from - torn.Offset)..(int)(to - torn.Offset)].CopyTo(bytes[(int)(from - offset)..]);
        }
    }

    // Turns round what lies wholly within the bytes, and tells which numbers lie partly before and behind them; a number
    // that a read is too short for on both sides is the first.
    private (TornNumber First, TornNumber Last) Swap(long offset, Span<byte> bytes)
    {
        var (first, last) = (default(TornNumber), default(TornNumber));
        var end = offset + bytes.Length;
        for (var i = FirstEndingBehind(offset); i < _ranges.Length && _ranges[i].Offset < end; i++)
        {
            var range = _ranges[i];
            // From the first block that the bytes touch to the last.
            var block = range.Offset + (Math.Max(0, offset - range.Offset) / range.BlockSize * range.BlockSize);
            if (range.Fields is [{ Offset: 0 } only] && only.End == range.BlockSize)
            {
                // Nothing but numbers: one stretch of them.
                SwapNumbers(block, Math.Min(range.End, end), only.Size, offset, bytes, ref first, ref last);
                continue;
            }

            for (; block < Math.Min(range.End, end); block += range.BlockSize)
            {
                foreach (var field in range.Fields)
                {
                    SwapNumbers(block + field.Offset, block + field.End, field.Size, offset, bytes, ref first, ref last);
                }
            }
        }

        return (first, last);
    }

    private static void SwapNumbers(
        long from, long to, int size, long offset, Span<byte> bytes, ref TornNumber first, ref TornNumber last)
    {
        var end = offset + bytes.Length;
        if (to <= offset || from >= end)
        {
            return;
        }

        if (from < offset)
        {
            var before = from + ((offset - from) / size * size);
            from = before;
            if (before < offset)
            {
                first = new TornNumber(before, size);
                from = before + size;
            }
        }

        if (from >= end)
        {
            return;
        }

        var whole = (Math.Min(to, end) - from) / size * size;
        ByteOrder.Swap(bytes.Slice((int)(from - offset), (int)whole), size);
        if (from + whole < Math.Min(to, end))
        {
            last = new TornNumber(from + whole, size);
        }
    }

    private int FirstEndingBehind(long offset)
    {
        var (low, high) = (0, _ranges.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            (low, high) = _ranges[middle].End > offset ? (low, middle) : (middle + 1, high);
        }

        return low;
    }

    // A number of which a read has only some bytes; of size 0 where there is none.
    private readonly record struct TornNumber(long Offset, int Size);

    private sealed class OnCallingThread(ISynchronousByteSource inner, SwappedRange[] ranges)
        : ByteOrderSource(inner, ranges), ISynchronousByteSource
    {
        public int Read(long offset, Span<byte> destination)
        {
            var read = inner.Read(offset, destination);
            var bytes = destination[..read];
            var (first, last) = Swap(offset, bytes);
            Span<byte> whole = stackalloc byte[LargestNumber];
            foreach (var torn in (ReadOnlySpan<TornNumber>)[first, last])
            {
                inner.ReadExactly(torn.Offset, whole[..torn.Size]);
                Mend(torn, whole, offset, bytes);
            }

            return read;
        }
    }
}
