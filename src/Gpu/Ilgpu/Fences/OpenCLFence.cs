using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The event of an OpenCL marker. ILGPU's own marker waits for it at once, so that nothing would be in flight.
/// </summary>
internal sealed class OpenCLFence : EventFence
{
    private readonly IlgpuDevice _device;
    private readonly nint _event;

    public OpenCLFence(IlgpuDevice device, CLStream stream)
    {
        _device = device;
        Check(OpenCLEvents.EnqueueMarker(stream.CommandQueue, 0, 0, out _event));
        // Without it a driver may keep what was given to it until somebody waits.
        var flushed = OpenCLEvents.Flush(stream.CommandQueue);
        if (flushed != OpenCLEvents.Success)
        {
            DestroyEvent();
            Check(flushed);
        }
    }

    protected override bool IsComplete()
    {
        Check(OpenCLEvents.GetInfo(_event, OpenCLEvents.ExecutionStatus, sizeof(int), out var status, 0));
        // Below zero is an error of the work before.
        Check(Math.Min(status, OpenCLEvents.Success));
        return status == OpenCLEvents.Complete;
    }

    protected override void WaitForEvent() => Check(OpenCLEvents.Wait(1, _event));

    protected override void DestroyEvent() => _ = OpenCLEvents.Release(_event);

    private void Check(int status)
    {
        if (status != OpenCLEvents.Success)
        {
            throw IlgpuErrors.Explain(_device, new CLException((CLError)status), "it worked on what was given to it before");
        }
    }
}
