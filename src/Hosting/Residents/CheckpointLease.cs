using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>A lease of a checkpoint's tensors.</summary>
internal sealed class CheckpointLease(string name, LoadedModel model, long version, LeaseCount leases) : IModelLease
{
    private int _ended;

    /// <inheritdoc/>
    public string Model => name;

    /// <inheritdoc/>
    public long Version => version;

    /// <inheritdoc/>
    public IEnumerable<string> Names => Live.Names;

    private LoadedModel Live
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, this);
            return model;
        }
    }

    /// <inheritdoc/>
    public Tensor this[string tensor] => Live[tensor];

    /// <inheritdoc/>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor) => Live.TryGetTensor(name, out tensor);

    /// <inheritdoc/>
    public void EndBehind(Fence fence)
    {
        ArgumentNullException.ThrowIfNull(fence);
        ObjectDisposedException.ThrowIf(Interlocked.Exchange(ref _ended, 1) != 0, this);
        leases.LeaveBehind(fence);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            leases.Leave();
        }
    }
}
