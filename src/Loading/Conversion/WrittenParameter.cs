using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A parameter that is written under a name.</summary>
/// <param name="Name">The name.</param>
/// <param name="Index">The parameter's index in the model.</param>
/// <param name="DType">Its dtype.</param>
/// <param name="Shape">Its dimensions on this rank.</param>
internal sealed record WrittenParameter(string Name, int Index, DType DType, Shape Shape)
{
    public long ByteLength => DType.ByteCount(Shape.ElementCount);
}
