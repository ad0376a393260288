using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Brings a state into a model: what has storage is written, what has none gets it when all has arrived. For one load.</summary>
internal sealed class StateLoad : IDisposable
{
    private readonly ModelState _model;
    private readonly StateFit _fit;
    private readonly Device _device;
    // By the tensor of the model that they replace.
    private readonly Dictionary<Tensor, Tensor> _made = new(ReferenceEqualityComparer.Instance);
    private bool _given;

    public StateLoad(ModelState model, StateFit fit, Device device) => (_model, _fit, _device) = (model, fit, device);

    /// <summary>Takes a tensor that has arrived.</summary>
    public void Take(string name, Tensor tensor)
    {
        var target = _fit.Targets[name].Tensor;
        if (target.Device.Kind != DeviceKind.Meta)
        {
            StateCopies.CopyNarrowed(tensor, target);
            tensor.Dispose();
            return;
        }

        if (tensor.DType == target.DType && tensor.Shape == target.Shape)
        {
            _made.Add(target, tensor);
            return;
        }

        var made = Tensor.Empty(target.DType, target.Shape, _device);
        try
        {
            StateCopies.CopyNarrowed(tensor, made);
        }
        catch
        {
            made.Dispose();
            throw;
        }

        _made.Add(target, made);
        tensor.Dispose();
    }

    /// <summary>Gives the model its storage; to what shares memory in the model, and to what has no elements too.</summary>
    public void Give()
    {
        foreach (var entry in _model.Entries.Where(entry => entry.IsMeta && !_made.ContainsKey(entry.Tensor)))
        {
            if (entry.Tensor.ElementCount == 0)
            {
                _made.Add(entry.Tensor, Tensor.Empty(entry.Tensor.DType, entry.Tensor.Shape, _device));
            }
            else if (ViewOf(entry.Tensor) is { } view)
            {
                _made.Add(entry.Tensor, view);
            }
        }

        _given = true;
        _model.Replace(_made);
    }

    /// <summary>Frees what has arrived, unless the model has it.</summary>
    public void Dispose()
    {
        if (!_given)
        {
            foreach (var tensor in _made.Values)
            {
                tensor.Dispose();
            }
        }
    }

    // A part of a tensor that was filled; null where there is none: an optional one that the state does not have.
    private Tensor? ViewOf(Tensor part)
    {
        var range = ByteRange.Of(part);
        foreach (var (whole, made) in _made)
        {
            if (ReferenceEquals(whole.Memory, part.Memory) && made.IsContiguous && ByteRange.Of(whole) is var all && all.Covers(range))
            {
                return new Tensor(made.Memory, part.DType, part.Shape, part.Strides, made.ByteOffset + range.Begin - all.Begin);
            }
        }

        return null;
    }
}
