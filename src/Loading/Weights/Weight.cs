using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One weight of a checkpoint, as the iterators of this folder give them. Who takes it from the iterator owns it, and disposes
/// either it or its tensor; whoever keeps the tensor need not keep the weight. Not safe for several threads.
/// </summary>
/// <param name="name">The name in the checkpoint, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="tensor">The tensor; it is the weight's from now on.</param>
public sealed class Weight(string name, Tensor tensor) : IDisposable
{
    /// <summary>The name in the checkpoint, such as <c>model.layers.0.mlp.up_proj.weight</c>.</summary>
    public string Name { get; } = name ?? throw new ArgumentNullException(nameof(name));

    /// <summary>The tensor. It may share its memory with those of other weights, and keeps that memory alive.</summary>
    public Tensor Tensor { get; } = tensor ?? throw new ArgumentNullException(nameof(tensor));

    /// <summary>Name and tensor; the tensor then takes the weight's place as what is disposed.</summary>
    public void Deconstruct(out string name, out Tensor tensor) => (name, tensor) = (Name, Tensor);

    /// <summary>Disposes the tensor. Safe to call again.</summary>
    public void Dispose() => Tensor.Dispose();

    /// <summary>Name, dtype, shape and device.</summary>
    public override string ToString() => $"{Name} {Tensor}";
}
