using System.Runtime.InteropServices;

namespace IlgpuLoader.Loading;

/// <summary>
/// Memory of yardsticks, on 2 MiB boundaries with huge pages asked for: not the loader's own, which may be reused from one load to the next.
/// </summary>
internal sealed unsafe class YardstickMemory : IDisposable
{
    // The size of a huge page on x86-64 and on Arm64 with 4 KiB pages.
    private const long HugePage = 2L << 20;

    // Large enough for a call to cost nothing, small enough for threads to end together.
    private const int PieceBytes = 16 << 20;

    private readonly byte* _start;
    private readonly nint _mapping;
    private readonly long _mappedBytes;

    /// <summary>Takes memory that nobody has touched.</summary>
    /// <param name="length">The size in bytes.</param>
    public YardstickMemory(long length)
    {
        Length = length;
        if (OperatingSystem.IsLinux())
        {
            _mappedBytes = checked(((length + HugePage - 1) / HugePage * HugePage) + HugePage);
            _mapping = MeasuringCalls.MapFresh(_mappedBytes);
            _start = (byte*)((_mapping + HugePage - 1) / HugePage * HugePage);
        }
        else
        {
            _start = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, length), (nuint)Environment.SystemPageSize);
        }
    }

    /// <summary>The size in bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte.</summary>
    public byte* Start => _start;

    /// <summary>Bytes as a span, valid until the memory is freed.</summary>
    public Span<byte> AsSpan(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Makes every page present.</summary>
    public void Touch(int lanes, CancellationToken cancellationToken) => InPieces(lanes, (offset, length) =>
    {
        var page = Environment.SystemPageSize;
        var whole = (length + page - 1) / page * page;
        if (!OperatingSystem.IsLinux() || !MeasuringCalls.TryPopulate((nint)(_start + offset), whole))
        {
            for (var i = 0; i < length; i += page)
            {
                _start[offset + i] = 0;
            }
        }
    }, cancellationToken);

    /// <summary>Does something with every piece, by several threads.</summary>
    public void InPieces(int lanes, Action<long, int> work, CancellationToken cancellationToken) => MeasuringThreads.Run(
        lanes,
        checked((int)((Length + PieceBytes - 1) / PieceBytes)),
        piece => work((long)piece * PieceBytes, (int)Math.Min(PieceBytes, Length - ((long)piece * PieceBytes))),
        cancellationToken);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        if (_mapping != 0)
        {
            MeasuringCalls.UnmapFresh(_mapping, _mappedBytes);
        }
        else
        {
            NativeMemory.AlignedFree(_start);
        }
    }
}
