using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>A lease of all layers of a live model.</summary>
internal sealed class WholeModelLease(string name, ModelLease lease, ResidentModel model, long versionsBefore) : IModelLease
{
    /// <inheritdoc/>
    public string Model => name;

    /// <inheritdoc/>
    public long Version => versionsBefore + lease.Version;

    /// <inheritdoc/>
    public IEnumerable<string> Names => model.Tensors.Select(tensor => tensor.Name);

    /// <inheritdoc/>
    public Tensor this[string tensor] => lease[tensor];

    /// <inheritdoc/>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor) => lease.TryGetTensor(name, out tensor);

    /// <inheritdoc/>
    public void EndBehind(Fence fence) => lease.EndBehind(fence);

    /// <inheritdoc/>
    public void Dispose() => lease.Dispose();
}
