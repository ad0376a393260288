using System.Collections.Concurrent;
using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>Remembers every read: how many bytes were really asked for and given, and where.</summary>
/// <param name="inner">Where the bytes come from.</param>
public sealed class RecordingSource(IByteSource inner) : SourceDouble(inner)
{
    private readonly ConcurrentQueue<RecordedRead> _reads = new();

    /// <summary>The finished reads, in the order in which they ended.</summary>
    public IReadOnlyCollection<RecordedRead> Reads => _reads;

    /// <summary>The bytes given by all reads.</summary>
    public long BytesRead => _reads.Sum(read => (long)read.Given);

    /// <summary>The byte after the last one that was asked for; 0 where nothing was.</summary>
    public long FurthestByte => _reads.Select(read => read.Offset + read.Asked).DefaultIfEmpty().Max();

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        var given = await Inner.ReadAsync(offset, destination, cancellationToken);
        _reads.Enqueue(new RecordedRead(offset, destination.Length, given));
        return given;
    }
}

/// <summary>One read of a <see cref="RecordingSource"/>.</summary>
/// <param name="Offset">Where it began.</param>
/// <param name="Asked">The size of its destination.</param>
/// <param name="Given">The bytes it got.</param>
public readonly record struct RecordedRead(long Offset, int Asked, int Given);
