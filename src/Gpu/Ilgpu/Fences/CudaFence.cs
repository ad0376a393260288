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
        using var binding = Bind();
        Check(CudaAPI.CurrentAPI.CreateEvent(out _event, Flags));
        try
        {
            Check(CudaAPI.CurrentAPI.RecordEvent(_event, stream.StreamPtr));
        }
        catch
        {
            DestroyEvent();
            throw;
        }
    }

    protected override bool IsComplete()
    {
        using var binding = Bind();
        var status = CudaAPI.CurrentAPI.QueryEvent(_event);
        if (status == CudaError.CUDA_ERROR_NOT_READY)
        {
            return false;
        }

        Check(status);
        return true;
    }

    protected override void WaitForEvent()
    {
        using var binding = Bind();
        Check(CudaAPI.CurrentAPI.SynchronizeEvent(_event));
    }

    protected override void DestroyEvent() => IlgpuErrors.Release(() =>
    {
        using var binding = _device.Accelerator.BindScoped();
        // After a failure of the device this fails too, and that one was reported.
        _ = CudaAPI.CurrentAPI.DestroyEvent(_event);
    });

    private ScopedAcceleratorBinding Bind()
    {
        try
        {
            return _device.Accelerator.BindScoped();
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
