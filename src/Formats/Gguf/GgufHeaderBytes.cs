using System.Buffers;
using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// The bytes of a header, whose size nobody knows before it is read: they come in pieces that double, and only a window of
/// them is held. Not safe for several threads; disposing gives the window's memory back and leaves the source open.
/// </summary>
internal sealed class GgufHeaderBytes : IDisposable
{
    // Enough for a header without a vocabulary, which then costs one read.
    private const int FirstPiece = 64 << 10;

    // Vocabularies fit, and all the buffers on the way to it stay far below the 64 MiB that reading a file may take beyond
    // the file's own size.
    private const int LargestPiece = 4 << 20;

    // Of a file on another machine, what is read beyond the header was fetched in vain: half a piece on average.
    private const int LargestRemotePiece = 1 << 20;

    // The shared pool keeps what it gets back, for every thread that opened a checkpoint: megabytes that nobody needs again.
    private const int LargestPooled = 1 << 20;

    private readonly CheckpointFile _file;
    private readonly GgufLimits _limits;
    private byte[] _buffer;
    private long _start;
    private int _filled;
    private long _kept = -1;
    private int _nextPiece = FirstPiece;
    private long _expansion;

    /// <summary>Begins at the first byte.</summary>
    /// <param name="file">The file.</param>
    /// <param name="head">Its first bytes, which are not read again.</param>
    /// <param name="limits">How much a header may hold.</param>
    public GgufHeaderBytes(CheckpointFile file, ReadOnlySpan<byte> head, GgufLimits limits)
    {
        _file = file;
        _limits = limits;
        _buffer = Rent(FirstPiece);
        head.CopyTo(_buffer);
        _filled = head.Length;
    }

    /// <summary>Whether the file stores the highest byte of numbers first.</summary>
    public bool IsBigEndian { get; set; }

    /// <summary>Where the next byte is, from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>How many bytes of the file are behind <see cref="Position"/>.</summary>
    public long Remaining => _file.Length - Position;

    /// <summary>Notes that what is read next takes so many bytes of memory beyond its own size in the file.</summary>
    /// <exception cref="CheckpointLimitException">All of the header would take more than the limit.</exception>
    public void Expand(long count)
    {
        if (count > _limits.MaximumExpansionBytes - _expansion)
        {
            throw Beyond(
                "memory that the header takes beyond its own bytes",
                (decimal)_expansion + count,
                _limits.MaximumExpansionBytes,
                nameof(GgufLimits.MaximumExpansionBytes));
        }

        _expansion += count;
    }

    /// <summary>Goes back to a byte that was passed; it may have to be read again.</summary>
    public void GoBack(long position) => Position = position;

    /// <summary>The bytes from <see cref="Position"/> on that are in memory.</summary>
    public ReadOnlySpan<byte> Available =>
        Position >= _start && Position <= _start + _filled ? _buffer.AsSpan((int)(Position - _start).._filled) : [];

    /// <summary>Has the next bytes in memory.</summary>
    /// <exception cref="InvalidCheckpointException">The file ends before them.</exception>
    /// <exception cref="CheckpointLimitException">The header would be larger than the limit.</exception>
    public ValueTask EnsureAsync(int count, CancellationToken cancellationToken) =>
        Available.Length >= count ? ValueTask.CompletedTask : FillAsync(count, cancellationToken);

    /// <summary>Goes past bytes without looking at them.</summary>
    /// <inheritdoc cref="EnsureAsync" path="/exception"/>
    public void Skip(long count)
    {
        if (count > Remaining)
        {
            throw Ended(count);
        }

        ThrowIfBeyond(count);
        Position += count;
    }

    /// <summary>Checks that the next bytes may belong to a header.</summary>
    /// <exception cref="CheckpointLimitException">The header would be larger than the limit.</exception>
    public void ThrowIfBeyond(long count)
    {
        // Not the sum: it could be beyond 64 bits.
        if (count > _limits.MaximumHeaderBytes - Position)
        {
            throw Beyond(
                "header length",
                (decimal)Position + count,
                _limits.MaximumHeaderBytes,
                nameof(GgufLimits.MaximumHeaderBytes),
                CheckpointErrorCode.HeaderTooLarge);
        }
    }

    /// <summary>Holds what follows in memory as long as it is small enough, because it will be copied.</summary>
    public void KeepFromHere() => _kept = Position;

    /// <summary>Copies what <see cref="Skip"/> and the other calls went past since <see cref="KeepFromHere"/>.</summary>
    public async ValueTask CopyKeptAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        var from = _kept;
        _kept = -1;
        if (from >= _start && from + destination.Length <= _start + _filled)
        {
            _buffer.AsMemory((int)(from - _start), destination.Length).CopyTo(destination);
        }
        else
        {
            await _file.Source.ReadExactlyAsync(from, destination, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The next 8 bytes that <see cref="EnsureAsync"/> made sure of, as an unsigned number.</summary>
    public ulong TakeUInt64()
    {
        var bytes = Take(sizeof(ulong));
        return IsBigEndian ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    /// <summary>The next 4 bytes that <see cref="EnsureAsync"/> made sure of, as an unsigned number.</summary>
    public uint TakeUInt32()
    {
        var bytes = Take(sizeof(uint));
        return IsBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    /// <summary>The next bytes that <see cref="EnsureAsync"/> made sure of; valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        var bytes = Available[..count];
        Skip(count);
        return bytes;
    }

    /// <summary>An exception about what is at <see cref="Position"/>.</summary>
    public InvalidCheckpointException Invalid(
        CheckpointErrorCode code, string problem, string? tensor = null, Exception? innerException = null) =>
        new(code, _file.Path, problem, GgufConstants.Format, Position, tensor, innerException);

    /// <summary>An exception about a number that is larger than a limit.</summary>
    /// <param name="limit">The limit's name in words.</param>
    /// <param name="actual">What the file asks for.</param>
    /// <param name="maximum">What is allowed.</param>
    /// <param name="option">The property of <see cref="GgufLimits"/> that raises the limit.</param>
    /// <param name="code">What is wrong, for programs.</param>
    public CheckpointLimitException Beyond(
        string limit, decimal actual, long maximum, string option, CheckpointErrorCode code = CheckpointErrorCode.LimitExceeded) =>
        new(limit, actual, maximum, $"{nameof(GgufLimits)}.{option}", _file.Path, GgufConstants.Format, code);

    /// <inheritdoc/>
    public void Dispose()
    {
        Return(_buffer);
        _buffer = [];
    }

    private static byte[] Rent(int size) =>
        size <= LargestPooled ? ArrayPool<byte>.Shared.Rent(size) : GC.AllocateUninitializedArray<byte>(size);

    private static void Return(byte[] buffer)
    {
        if (buffer.Length is > 0 and <= LargestPooled)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        if (count > Remaining)
        {
            throw Ended(count);
        }

        // Before anything is rented or read.
        ThrowIfBeyond(count);
        // What is kept stays, unless it has become too large to hold: then it is read again when it is copied.
        var keepsAll = _kept >= _start && _kept < Position && Position - _kept <= LargestPiece;
        var from = keepsAll ? _kept : Position;
        var held = from < _start ? 0 : (int)Math.Max(0, _start + _filled - from);
        var wanted = Math.Max(Position - from + count, (long)held + _nextPiece);
        // What is beyond the limit is never looked at.
        var end = Math.Min(_file.Length, _limits.MaximumHeaderBytes);
        var size = (int)Math.Min(Math.Min(wanted, end - from), Array.MaxLength);
        var target = size <= _buffer.Length ? _buffer : Rent(size);
        _buffer.AsSpan(_filled - held, held).CopyTo(target);
        if (target != _buffer)
        {
            Return(_buffer);
            _buffer = target;
        }

        (_start, _filled) = (from, held);
        await _file.Source.ReadExactlyAsync(from + held, target.AsMemory(held, size - held), cancellationToken).ConfigureAwait(false);
        _filled = size;
        _nextPiece = Math.Min(_nextPiece * 2, _file.Source.FindRemote() is not null ? LargestRemotePiece : LargestPiece);
    }

    private InvalidCheckpointException Ended(long count) => Invalid(
        CheckpointErrorCode.HeaderOutOfFile,
        $"the header goes on with {count} bytes, and the file has {Remaining} more: it was cut, or is damaged; fetch it again.");
}
