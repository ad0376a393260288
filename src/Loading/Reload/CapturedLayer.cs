using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What a module had of its own when it was captured, without storage (<see cref="MetaTensors.CaptureLayerToMeta"/>): restored as often as it is wanted, also into another module of the same class. Keeps
/// neither the module nor its memory alive. Owns its tensors. Not safe for several threads.
/// </summary>
public sealed class CapturedLayer : IDisposable
{
    private readonly OrderedDictionary<string, Parameter> _parameters;
    private readonly OrderedDictionary<string, Tensor> _buffers;

    internal CapturedLayer(OrderedDictionary<string, Parameter> parameters, OrderedDictionary<string, Tensor> buffers) =>
        (_parameters, _buffers) = (parameters, buffers);

    /// <summary>The parameters by their names, in their order, on the meta device. Loaders that were the module's own methods throw until they are restored.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>The buffers by their names, in their order, on the meta device.</summary>
    public IReadOnlyDictionary<string, Tensor> Buffers => _buffers;

    /// <summary>Whether it was disposed.</summary>
    internal bool IsDisposed { get; private set; }

    /// <summary>Disposes the tensors. Safe to call again.</summary>
    public void Dispose()
    {
        IsDisposed = true;
        foreach (var parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        foreach (var buffer in _buffers.Values)
        {
            buffer.Dispose();
        }
    }
}
