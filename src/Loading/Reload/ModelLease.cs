using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A reader's hold on all layers of a live model, all of one version: as long as it is there, no reload writes any of them. Ended as a <see cref="LayerLease"/>. Safe for any thread.
/// </summary>
public sealed class ModelLease : IDisposable
{
    private readonly HotModel _model;
    private readonly LayerGate _gate;
    private int _ended;

    internal ModelLease(HotModel model, LayerGate gate, long version) => (_model, _gate, Version) = (model, gate, version);

    /// <summary>The version that all layers have.</summary>
    public long Version { get; }

    /// <summary>The layers in the order of the model; their tensors are read only as long as the lease is there.</summary>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public IReadOnlyList<ModelLayer> Layers
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, this);
            return _model.Layers;
        }
    }

    /// <summary>A tensor by its full name.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="TensorNotFoundException">There is none of that name; the exception has the nearest.</exception>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public Tensor this[string name] => TryGetTensor(name, out var tensor) ? tensor : throw new TensorNotFoundException(name, null, Layers.SelectMany(layer => layer.Tensors.Keys));

    /// <summary>Finds a tensor by its full name.</summary>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor)
    {
        ArgumentNullException.ThrowIfNull(name);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, this);
        tensor = null;
        return _model.Names.Find(name) is { } layer && layer.Layer.Tensors.TryGetValue(name, out tensor);
    }

    /// <inheritdoc cref="LayerLease.EndBehind"/>
    public void EndBehind(Fence fence)
    {
        ArgumentNullException.ThrowIfNull(fence);
        ObjectDisposedException.ThrowIf(Interlocked.Exchange(ref _ended, 1) != 0, this);
        _gate.LeaveBehind(fence);
    }

    /// <summary>Ends the lease. Safe to call again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _gate.Leave();
        }
    }
}
