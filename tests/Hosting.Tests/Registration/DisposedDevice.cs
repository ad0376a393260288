using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>A device that counts how often it is disposed. It is never loaded onto.</summary>
internal sealed class DisposedDevice : Device, IDisposable
{
    public int Disposals { get; private set; }

    public override DeviceKind Kind => DeviceKind.Meta;

    public override string Name => "counts its ends";

    public override string Id => "disposed";

    public override long TotalMemory => 0;

    public override long FreeMemory => 0;

    public override int PreferredSlotBytes => 1;

    public override DeviceMemory Allocate(long bytes) => throw new NotSupportedException();

    public override StagingPool CreateStagingPool(int slotBytes, int slotCount) => throw new NotSupportedException();

    public override DeviceStream CreateStream() => throw new NotSupportedException();

    public void Dispose() => Disposals++;
}
