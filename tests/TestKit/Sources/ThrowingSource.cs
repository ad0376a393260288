using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>Fails with an <see cref="IOException"/>, as a disk or a connection does.</summary>
public sealed class ThrowingSource : SourceDouble
{
    private readonly long _goodBytes;
    private int _goodReads;

    private ThrowingSource(IByteSource inner, long goodBytes, int goodReads)
        : base(inner)
    {
        _goodBytes = goodBytes;
        _goodReads = goodReads;
    }

    /// <summary>The message of the exception, so that a test can tell it from any other.</summary>
    public static string Message => "the source was told to fail here";

    /// <summary>A source of which the first bytes can be read, and none behind them.</summary>
    public static ThrowingSource AfterBytes(IByteSource inner, long goodBytes) => new(inner, goodBytes, int.MaxValue);

    /// <summary>A source whose first reads succeed, and none after them.</summary>
    public static ThrowingSource AfterReads(IByteSource inner, int goodReads) => new(inner, long.MaxValue, goodReads);

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (offset >= _goodBytes || Interlocked.Decrement(ref _goodReads) < 0)
        {
            return ValueTask.FromException<int>(new IOException(Message));
        }

        var good = (int)Math.Min(destination.Length, _goodBytes - offset);
        return Inner.ReadAsync(offset, destination[..good], cancellationToken);
    }
}
