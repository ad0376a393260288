using System.Buffers;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A fixed number of equally large slots through which bytes go to a device. Slots are handed out once each and come
/// back when their owner is disposed; their memory has a fixed address. Safe for any thread.
/// </summary>
public abstract class StagingPool : MemoryPool<byte>
{
    private int _rented;

    /// <summary>The size of a slot in bytes.</summary>
    public abstract int SlotBytes { get; }

    /// <summary>How many slots there are.</summary>
    public abstract int SlotCount { get; }

    /// <summary>How many slots are handed out now.</summary>
    public int RentedCount => Volatile.Read(ref _rented);

    /// <summary>The largest buffer that <see cref="Rent"/> gives: one slot. A <c>Pipe</c> asked for more would bypass the pool.</summary>
    public sealed override int MaxBufferSize => SlotBytes;

    /// <summary>Hands out a slot.</summary>
    /// <param name="minBufferSize">The bytes needed, at most <see cref="SlotBytes"/>; -1 for any.</param>
    /// <exception cref="ArgumentOutOfRangeException">More than a slot is asked for.</exception>
    /// <exception cref="InvalidOperationException">All slots are handed out: the caller's gate counts wrongly.</exception>
    /// <exception cref="ObjectDisposedException">The pool was disposed.</exception>
    public sealed override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, SlotBytes);
        if (!TryTake(out var slot))
        {
            throw new InvalidOperationException($"All {SlotCount} staging slots are in use; a gate must count them before one is asked for.");
        }

        Interlocked.Increment(ref _rented);
        return new Lease(this, slot);
    }

    /// <summary>Takes a free slot.</summary>
    protected abstract bool TryTake(out Memory<byte> slot);

    /// <summary>Puts a slot back.</summary>
    protected abstract void PutBack(Memory<byte> slot);

    private sealed class Lease(StagingPool pool, Memory<byte> slot) : IMemoryOwner<byte>
    {
        private int _disposed;

        public Memory<byte> Memory => slot;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                // Counted before it can be handed out again, so that the count never exceeds the slots there are.
                Interlocked.Decrement(ref pool._rented);
                pool.PutBack(slot);
            }
        }
    }
}
