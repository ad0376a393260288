using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor that a plan will make.</summary>
/// <param name="Source">The tensor in the checkpoint.</param>
/// <param name="DType">The dtype it will have on the device.</param>
/// <param name="Shape">The shape it will have on the device.</param>
public sealed record PlannedTensor(TensorInfo Source, DType DType, Shape Shape)
{
    /// <summary>The name.</summary>
    public string Name => Source.Name;

    /// <summary>The size on the device in bytes.</summary>
    public long ByteLength => DType.ByteCount(Shape.ElementCount);
}
