using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A tensor of a state as it is written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Tensor">The tensor; stays the model's.</param>
internal sealed record StateTensor(string Name, Tensor Tensor)
{
    /// <summary>Its size in bytes, without what lies between its elements.</summary>
    public long ByteLength => Tensor.ByteLength;
}
