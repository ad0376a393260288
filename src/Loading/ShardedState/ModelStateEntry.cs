using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A tensor of a model's state under one of its names, and what has it.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Tensor">The tensor.</param>
/// <param name="Parameter">The parameter that has it; null for a buffer.</param>
internal sealed record ModelStateEntry(string Name, Tensor Tensor, Parameter? Parameter)
{
    /// <summary>Whether the state is incomplete without it: empty tensors never are needed.</summary>
    public bool IsRequired => Tensor.ElementCount > 0 && Parameter?.IsRequired != false;

    /// <summary>Whether it has no storage.</summary>
    public bool IsMeta => Tensor.Device.Kind == DeviceKind.Meta;
}
