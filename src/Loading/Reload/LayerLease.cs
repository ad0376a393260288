using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A reader's hold on one layer of a live model: as long as it is there, no reload writes the layer. Ended by <see cref="Dispose"/>, or by <see cref="EndBehind"/> where a device still works
/// with the tensors. Safe for any thread; its user sees to it that no thread reads on after the end.
/// </summary>
public sealed class LayerLease : IDisposable
{
    private readonly HotLayer _layer;
    private int _ended;

    internal LayerLease(HotLayer layer) => (_layer, Version) = (layer, layer.Version);

    /// <summary>The full name of the layer.</summary>
    public string Layer => _layer.Layer.Name;

    /// <summary>The version whose weights the layer has (<see cref="HotModel.Version"/>).</summary>
    public long Version { get; }

    /// <summary>The layer's tensors under their full names; they stay the model's, and are read only as long as the lease is there.</summary>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public IReadOnlyDictionary<string, Tensor> Tensors
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, this);
            return _layer.Layer.Tensors;
        }
    }

    /// <summary>A tensor by its full name, or by its name below the layer: <c>self_attn.q_proj.weight</c>.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="TensorNotFoundException">The layer has none of that name; the exception has the nearest.</exception>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public Tensor this[string name]
    {
        get
        {
            ArgumentNullException.ThrowIfNull(name);
            return Tensors.TryGetValue(name, out var tensor) || Tensors.TryGetValue(Module.Join(Layer, name), out tensor)
                ? tensor
                : throw new TensorNotFoundException(name, null, Tensors.Keys);
        }
    }

    /// <summary>Ends the lease for the caller; for reloads it is over as soon as the device has passed the fence.</summary>
    /// <param name="fence">A fence recorded behind the work that reads the tensors.</param>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public void EndBehind(Fence fence)
    {
        ArgumentNullException.ThrowIfNull(fence);
        ObjectDisposedException.ThrowIf(Interlocked.Exchange(ref _ended, 1) != 0, this);
        _layer.Gate.LeaveBehind(fence);
    }

    /// <summary>Ends the lease. Safe to call again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _layer.Gate.Leave();
        }
    }
}
