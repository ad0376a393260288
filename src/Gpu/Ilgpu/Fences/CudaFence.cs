using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A CUDA event: unlike ILGPU's profiling marker it needs no context that profiles, and can be asked without waiting.
/// </summary>
internal sealed class CudaFence : EventFence
{
    // Who waits sleeps instead of spinning, on a core that a lane wants for reading.
    private const CudaEventFlags Flags = CudaEventFlags.CU_EVENT_BLOCKING_SYNC | CudaEventFlags.CU_EVENT_DISABLE_TIMING;

    private readonly IlgpuDevice _device;
    private readonly nint _event;

    public CudaFence(IlgpuDevice device, CudaStream stream)
    {
        _device = device;
        var created = nint.Zero;
        Check(InContext(() => CudaAPI.CurrentAPI.CreateEvent(out created, Flags)));
        _event = created;
        try
        {
            Check(InContext(() => CudaAPI.CurrentAPI.RecordEvent(created, stream.StreamPtr)));
        }
        catch
        {
            DestroyEvent();
            throw;
        }
    }

    protected override bool IsComplete()
    {
        var status = InContext(() => CudaAPI.CurrentAPI.QueryEvent(_event));
        if (status == CudaError.CUDA_ERROR_NOT_READY)
        {
            return false;
        }

        Check(status);
        return true;
    }

    protected override void WaitForEvent() => Check(InContext(() => CudaAPI.CurrentAPI.SynchronizeEvent(_event)));

    protected override void DestroyEvent() => IlgpuErrors.Release(() =>
    {
        // It went with its context.
        if (_device.Accelerator.IsDisposed)
        {
            return;
        }

        using var binding = _device.Accelerator.BindScoped();
        // After a failure of the device this fails too, and that one was reported.
        _ = CudaAPI.CurrentAPI.DestroyEvent(_event);
    });

    // Leaving the context can fail too: another accelerator's is made current again.
    private CudaError InContext(Func<CudaError> call)
    {
        try
        {
            using var binding = _device.Accelerator.BindScoped();
            return call();
        }
        catch (AcceleratorException exception)
        {
            throw IlgpuErrors.Explain(_device, exception, "it was made a thread's own");
        }
    }

    private void Check(CudaError status)
    {
        if (status != CudaError.CUDA_SUCCESS)
        {
            throw IlgpuErrors.Explain(_device, new CudaException(status), "it worked on what was given to it before");
        }
    }
}
