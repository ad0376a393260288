using System.Diagnostics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Native memory of the host, aligned to 64 bytes and more, larger than 2 GiB if need be. Large blocks come straight
/// from the operating system, with transparent huge pages asked for on Linux: faulting 4 KiB pages in one by one is
/// slower than reading a checkpoint. Or bytes of a mapped file, which can only be read (<see cref="HostDevice.Map"/>).
/// </summary>
public sealed unsafe class HostMemory : DeviceMemory
{
    private readonly byte* _pointer;
    private readonly NativePages.Region _block;
    private readonly IDisposable? _pageLock;
    private readonly FileMapping? _mapping;

    /// <summary>Takes a block, and what unlocks its pages before it is given back.</summary>
    internal HostMemory(HostDevice device, NativePages.Region block, long length, IDisposable? pageLock = null)
        : base(device, length)
    {
        _block = block;
        _pageLock = pageLock;
        _pointer = (byte*)block.Address;
        if (pageLock is not null)
        {
            // A driver that locks pages makes them present.
            MarkPopulated();
        }
    }

    /// <summary>Takes a part of a mapped file, and one of the mapping's references.</summary>
    internal HostMemory(HostDevice device, FileMapping mapping, long offset, long length)
        : this(device, mapping, mapping.AddressOf(offset, length), length)
    {
    }

    // The address is found before the memory counts: a range that is not within the file leaves nothing behind.
    private HostMemory(HostDevice device, FileMapping mapping, nint address, long length)
        : base(device, length, countedBytes: 0)
    {
        _mapping = mapping;
        _pointer = (byte*)address;
    }

    /// <inheritdoc/>
    public override bool IsReadOnly => _mapping is not null;

    /// <summary>Whether the pages are locked for a device's driver (<see cref="HostDevice.AllocatePageLocked"/>).</summary>
    public bool IsPageLocked => _pageLock is not null;

    /// <summary>
    /// The address of the first byte, valid until the memory is freed. Who writes there where <see cref="IsReadOnly"/> is true ends the
    /// process.
    /// </summary>
    public nint Address => (nint)_pointer;

    /// <summary>Bytes of the memory as a span, valid until the memory is freed.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">The number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the memory.</exception>
    /// <exception cref="InvalidOperationException">The memory can only be read.</exception>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public Span<byte> AsSpan(long offset, int length)
    {
        ThrowIfReadOnly();
        CheckRange(offset, length);
        return new Span<byte>(_pointer + offset, length);
    }

    /// <summary>Bytes of the memory to be read, valid until the memory is freed.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">The number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the memory.</exception>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public ReadOnlySpan<byte> AsReadOnlySpan(long offset, int length)
    {
        CheckRange(offset, length);
        return new ReadOnlySpan<byte>(_pointer + offset, length);
    }

    /// <summary>Bytes of the memory for an asynchronous read.</summary>
    /// <inheritdoc cref="AsSpan"/>
    public Memory<byte> AsMemory(long offset, int length)
    {
        ThrowIfReadOnly();
        CheckRange(offset, length);
        return new NativeMemoryManager(_pointer + offset, length, this).Memory;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Huge pages come whole: what a range reaches into is made present whole, once. Of many small ranges side by side the first
    /// does the work for all. Where the kernel has no call for that, or refuses it, only what the caller names is made present.
    /// </remarks>
    public override TimeSpan Populate(long offset, long length)
    {
        CheckRange(offset, length);
        if (length == 0 || _block.Presence is not { IsComplete: false } presence)
        {
            return TimeSpan.Zero;
        }

        var (position, end) = (offset, offset + length);
        if (!presence.TryClaim(ref position, end, out var claimed))
        {
            return TimeSpan.Zero;
        }

        var start = Stopwatch.GetTimestamp();
        do
        {
            if (!NativePages.TryPopulate(_pointer + claimed.Offset, claimed.Length))
            {
                // By writing, and so no more than the caller's own bytes: others fill the rest of these pieces at this moment.
                var first = Math.Max(offset, claimed.Offset);
                NativePages.Touch(_pointer + first, Math.Min(end, claimed.Offset + claimed.Length) - first);
            }
        }
        while (presence.TryClaim(ref position, end, out claimed));
        return Stopwatch.GetElapsedTime(start);
    }

    /// <inheritdoc/>
    public override void MarkPopulated() => _block.Presence?.Complete();

    /// <inheritdoc/>
    protected override void Free()
    {
        if (_mapping is not null)
        {
            _mapping.Dispose();
            return;
        }

        try
        {
            // First: a driver may still copy to and from pages that it has locked.
            _pageLock?.Dispose();
        }
        finally
        {
            if (_pageLock is null)
            {
                ((HostDevice)Device).GiveBack(_block);
            }
            else
            {
                NativePages.Free(_block);
            }
        }
    }

    /// <inheritdoc/>
    internal override void ThrowIfReadOnly()
    {
        if (_mapping is not null)
        {
            throw new InvalidOperationException(
                $"The memory is {Quoted.Plain(_mapping.Name)} as it is mapped, and can only be read: "
                + "write into a copy of the tensor, or read the file instead of mapping it.");
        }
    }

    /// <summary>Checks that bytes are within the memory, and that it was not freed.</summary>
    internal void CheckRange(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(IsFreed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
    }
}
