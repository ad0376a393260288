using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary>One buffer of an ILGPU accelerator.</summary>
internal sealed class IlgpuMemory : DeviceMemory
{
    /// <summary>
    /// What sizes are rounded up to: CUDA's own granularity, so it costs nothing, and kernels may load the whole words that the last bytes lie in.
    /// </summary>
    public const int Granularity = 256;

    private readonly MemoryBuffer _buffer;

    internal IlgpuMemory(IlgpuDevice device, MemoryBuffer buffer, long length)
        : base(device, length)
    {
        _buffer = buffer;
    }

    /// <summary>All bytes of the buffer, with those that round it up; never empty.</summary>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public ArrayView<byte> View
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsFreed, this);
            return _buffer.AsRawArrayView();
        }
    }

    /// <summary>Some bytes.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many, at least one: ILGPU ends the process where an empty view begins at the end of its buffer.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the memory, or empty.</exception>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public ArrayView<byte> Range(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return View.SubView(offset, length);
    }

    /// <inheritdoc/>
    protected override void Free() => IlgpuErrors.Release(_buffer.Dispose);
}
