using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The pickles at the beginning of a file, one after another. How long they are only their opcodes say, and what follows them
/// may be gigabytes of storages: a window on the file grows until the end of each is in it. Not safe for several threads.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="limits">What is accepted.</param>
internal sealed class PickleStream(CheckpointFile file, TorchLimits limits)
{
    // A read of 64 KiB costs a disk hardly more than one of 4; the pickles of 250 tensors fit. What is larger takes few steps.
    private const int FirstWindow = 64 << 10, Growth = 4;

    private byte[] _window = [];
    private int _filled;

    /// <summary>Where the next pickle begins, in bytes from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>How much of the file is held in memory, in bytes.</summary>
    public long Held => _filled;

    /// <summary>The protocol that a pickle names; 0 where it names none.</summary>
    public static int ProtocolOf(ReadOnlySpan<byte> pickle) => pickle is [(byte)PickleOpcode.Protocol, var protocol, ..] ? protocol : 0;

    /// <summary>
    /// Finds the next pickle. Of one that is broken or cut all bytes that there are, so that the stack machine can say what is
    /// wrong with it.
    /// </summary>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>Its bytes, which stay until the next call.</returns>
    /// <exception cref="CheckpointLimitException">The pickles are too long.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> NextAsync(CancellationToken cancellationToken)
    {
        var start = (int)Position;
        var extent = new PickleExtent(start);
        while (!extent.Advance(_window.AsSpan(0, _filled)))
        {
            if (extent.Position >= limits.MaximumPickleBytes)
            {
                throw TooLong(extent.Position);
            }

            if (_filled == file.Length || extent.Position > file.Length)
            {
                break;
            }

            if (_filled >= limits.MaximumPickleBytes)
            {
                throw TooLong(_filled + 1L);
            }

            await GrowAsync(extent.Position, cancellationToken).ConfigureAwait(false);
        }

        if (extent.IsComplete && extent.Position > limits.MaximumPickleBytes)
        {
            throw TooLong(extent.Position);
        }

        Position = extent.IsComplete ? extent.Position : _filled;
        return _window.AsMemory(start, (int)Position - start);
    }

    // Not from a pool, which would round a large one up to twice its size.
    private async ValueTask GrowAsync(long needed, CancellationToken cancellationToken)
    {
        var wanted = Math.Max(Math.Max(FirstWindow, needed), (long)_filled * Growth);
        var larger = GC.AllocateUninitializedArray<byte>((int)Math.Min(Math.Min(wanted, file.Length), Math.Max(limits.MaximumPickleBytes, FirstWindow)));
        _window.AsSpan(0, _filled).CopyTo(larger);
        await file.Source.ReadExactlyAsync(_filled, larger.AsMemory(_filled), cancellationToken).ConfigureAwait(false);
        (_window, _filled) = (larger, larger.Length);
    }

    private CheckpointLimitException TooLong(long length) => new(
        "length of the pickles in bytes",
        length,
        limits.MaximumPickleBytes,
        $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumPickleBytes)}",
        file.Path,
        TorchConstants.Format);
}
