using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor that a conversion writes.</summary>
/// <param name="Source">The tensor in the checkpoint.</param>
/// <param name="DType">The dtype it is written with.</param>
internal sealed record OutputTensor(TensorInfo Source, DType DType)
{
    public string Name => Source.Name;

    /// <summary>The size as it is written, in bytes.</summary>
    public long ByteLength => DType.ByteCount(Source.ElementCount);

    public bool IsConverted => DType != Source.DType;
}
