using System.Runtime.InteropServices;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Work given to a stream of an accelerator. Stored bytes go up asynchronously, straight into their place or into a scratch of the
/// stream, from where a kernel decodes them; the next upload into the scratch waits for it, since a stream works in order.
/// </summary>
internal sealed partial class IlgpuStream : DeviceStream
{
    private readonly IlgpuDevice _device;
    private readonly AcceleratorStream _stream;
    private readonly bool _isOwned;
    private readonly Queue<EventFence> _fences = new();
    private IlgpuMemory? _stored;
    private IlgpuMemory? _decoded;
    private bool _disposed;

    /// <summary>Makes a stream.</summary>
    /// <param name="device">The device.</param>
    /// <param name="stream">The accelerator's stream.</param>
    /// <param name="isOwned">Whether it ends with this one.</param>
    public IlgpuStream(IlgpuDevice device, AcceleratorStream stream, bool isOwned)
    {
        _device = device;
        _stream = stream;
        _isOwned = isOwned;
    }

    /// <inheritdoc/>
    public override Device Device => _device;

    /// <inheritdoc/>
    public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target)
    {
        var memory = Own(destination);
        if (staged.IsEmpty)
        {
            return;
        }

        if (stored == target || Codecs.Of(stored).ValueType == target)
        {
            Upload(staged, memory, destinationOffset);
            return;
        }

        var codec = FindCodec(stored, target);
        var values = checked(staged.Length / stored.BlockSize * (long)stored.BlockLength * codec.ValuesPerElement);
        var scratch = Scratch(ref _stored, staged.Length);
        Upload(staged, scratch, 0);
        Decode(codec, target, scratch, 0, memory, destinationOffset, values);
    }

    /// <inheritdoc/>
    public override void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target)
    {
        var memory = Own(destination);
        var codec = FindCodec(stored, target);
        if (count == 0)
        {
            return;
        }

        var values = checked(staged.Length / stored.BlockSize * (long)stored.BlockLength);
        var scratch = Scratch(ref _stored, staged.Length);
        Upload(staged, scratch, 0);
        var decoded = Scratch(ref _decoded, target.ByteCount(values));
        Decode(codec, target, scratch, 0, decoded, 0, values);
        CopyBytes(decoded, target.ByteCount(skip), memory, destinationOffset, target.ByteCount(skip + count) - target.ByteCount(skip));
    }

    /// <inheritdoc/>
    public override Fence Record()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        while (_fences.TryPeek(out var oldest) && oldest.HasPassed)
        {
            _ = _fences.Dequeue();
        }

        EventFence fence;
        switch (_stream)
        {
            case CudaStream cuda:
                fence = new CudaFence(_device, cuda);
                break;
            case CLStream openCl:
                fence = new OpenCLFence(_device, openCl);
                break;
            default:
                // The simulator works while it is told to; what is left is to wait for.
                Synchronize();
                return Fence.Passed;
        }

        _fences.Enqueue(fence);
        return fence;
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        if (!_disposed)
        {
            Do("it worked on what was given to it before", _stream.Synchronize);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing || _disposed)
        {
            return;
        }

        Exception? failure = null;
        try
        {
            Synchronize();
        }
        catch (Exception exception)
        {
            failure = exception;
            throw;
        }
        finally
        {
            _disposed = true;
            foreach (var fence in _fences)
            {
                fence.Abandon(failure);
            }

            foreach (var scratch in (ReadOnlySpan<DeviceMemory?>)[_stored, _decoded, _gathered, _converted, _onHost, _sums])
            {
                scratch?.Dispose();
            }

            if (_isOwned)
            {
                IlgpuErrors.Release(_stream.Dispose);
            }
        }
    }

    private static Codec FindCodec(DType stored, DType target) =>
        Codecs.Of(stored) is var codec && codec.CanDecodeTo(target)
            ? codec
            : throw new ArgumentException($"There is no conversion from {stored.Name} to {target.Name}.");

    private IlgpuMemory Own(DeviceMemory memory)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return memory is IlgpuMemory { Device: IlgpuDevice device } own && device.Accelerator == _device.Accelerator
            ? own
            : throw new ArgumentException($"The memory is on {memory.Device}, not on {_device}.", nameof(memory));
    }

    // Grown, never shrunk: a lane's slots have one size. What is still read from the smaller one is waited for first.
    private IlgpuMemory Scratch(ref IlgpuMemory? scratch, long bytes)
    {
        if (scratch is null || scratch.Length < bytes)
        {
            Synchronize();
            scratch?.Dispose();
            scratch = null;
            scratch = (IlgpuMemory)_device.Allocate(bytes);
        }

        return scratch;
    }

    // Decodes whole elements or blocks of one memory into another, or into another part of it.
    private void Decode(Codec codec, DType target, IlgpuMemory source, long sourceOffset, IlgpuMemory destination, long destinationOffset, long values)
    {
        var stored = codec.DType.ByteCount(values / codec.ValuesPerElement);
        var decoded = target.ByteCount(values);
        // Whole words around the stored bytes: memory is always rounded up to them.
        var first = sourceOffset / IlgpuMemory.Granularity * IlgpuMemory.Granularity;
        _ = source.Range(sourceOffset, stored);
        var view = source.View.SubView(first, RoundUp(sourceOffset + stored - first));
        var kernel = _device.KernelOf(codec, target, sourceOffset - first);
        if (destinationOffset % kernel.Alignment == 0)
        {
            var room = destination.Range(destinationOffset, decoded);
            Launch(() => kernel.Launch(_stream, view, sourceOffset - first, room, values));
            return;
        }

        // Stores of several elements need a multiple of their size; a copy of bytes does not.
        var aligned = Scratch(ref _decoded, decoded);
        Launch(() => kernel.Launch(_stream, view, sourceOffset - first, aligned.Range(0, decoded), values));
        CopyBytes(aligned, 0, destination, destinationOffset, decoded);
    }

    private void CopyBytes(IlgpuMemory source, long sourceOffset, IlgpuMemory destination, long destinationOffset, long length) =>
        Do("bytes were copied", () => destination.Range(destinationOffset, length).CopyFrom(_stream, source.Range(sourceOffset, length)));

    private void Upload(ReadOnlySpan<byte> staged, IlgpuMemory destination, long offset)
    {
        var room = destination.Range(offset, staged.Length);
        try
        {
            HostCopies.Upload(_stream, in MemoryMarshal.GetReference(staged), room);
        }
        catch (AcceleratorException exception)
        {
            throw IlgpuErrors.Explain(_device, exception, "bytes were uploaded");
        }
    }

    private void Do(string work, Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsOfCompiler(exception))
        {
            throw IlgpuErrors.Explain(_device, exception, work);
        }
    }

    private void Launch(Action action)
    {
        if (_device.LaunchLock is not { } launchLock)
        {
            Do("a kernel was launched", action);
            return;
        }

        lock (launchLock)
        {
            Do("a kernel was launched", action);
        }
    }

    private static long RoundUp(long bytes) => (bytes + IlgpuMemory.Granularity - 1) / IlgpuMemory.Granularity * IlgpuMemory.Granularity;
}
