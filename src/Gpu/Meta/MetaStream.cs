using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Work on tensors without storage: it is always done.</summary>
internal sealed class MetaStream(MetaDevice device) : DeviceStream
{
    public override Device Device => device;

    public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target)
    {
    }

    public override void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target)
    {
    }

    public override void Copy(in StridedView source, in StridedView destination)
    {
    }

    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
    }

    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
    }

    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
    }

    public override Fence Record() => Fence.Passed;

    public override void Synchronize()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
