using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>A lease of one layer of a live model.</summary>
internal sealed class LayerModelLease(string name, LayerLease lease, long versionsBefore) : IModelLease
{
    /// <inheritdoc/>
    public string Model => name;

    /// <inheritdoc/>
    public long Version => versionsBefore + lease.Version;

    /// <inheritdoc/>
    public IEnumerable<string> Names => lease.Tensors.Keys.Order(StringComparer.Ordinal);

    /// <inheritdoc/>
    public Tensor this[string tensor] => lease[tensor];

    /// <inheritdoc/>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor) => lease.Tensors.TryGetValue(name, out tensor);

    /// <inheritdoc/>
    public void EndBehind(Fence fence) => lease.EndBehind(fence);

    /// <inheritdoc/>
    public void Dispose() => lease.Dispose();
}
