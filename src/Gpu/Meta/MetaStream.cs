using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Work on tensors without storage: it is always done, and written down where a <see cref="MetaRecorder"/> listens.</summary>
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

    public override void Copy(in StridedView source, in StridedView destination) =>
        MetaRecorder.Write(new RecordedWrite(destination, source, default));

    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
        // The bytes are the caller's, and only a recorder keeps them.
        if (MetaRecorder.IsWriting)
        {
            MetaRecorder.Write(new RecordedWrite(destination, null, element.ToArray()));
        }
    }

    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
    }

    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
    }

    /// <exception cref="NotSupportedException">Always: there are no values.</exception>
    public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks) =>
        throw new NotSupportedException("There are no values to sum up on the meta device: it has no storage.");

    public override void Dequantize(in QuantizedView source, in StridedView destination) => _ = source.Checked(destination);

    public override Fence Record() => Fence.Passed;

    public override void Synchronize()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
