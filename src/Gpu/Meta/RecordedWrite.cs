namespace IlgpuLoader.Gpu;

/// <summary>A copy or a fill that was asked for on the meta device, where nothing is written.</summary>
/// <param name="Destination">What would have been written, without ownership.</param>
/// <param name="Source">What would have been copied; null for a fill.</param>
/// <param name="Element">The bytes that every element would have been given; empty for a copy.</param>
public readonly record struct RecordedWrite(StridedView Destination, StridedView? Source, ReadOnlyMemory<byte> Element)
{
    /// <summary>How many elements would have been written.</summary>
    public long ElementCount => Destination.Shape.ElementCount;
}
