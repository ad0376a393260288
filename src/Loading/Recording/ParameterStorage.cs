using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The storage of a model's parameters while it is filled: made before the first read, given to the parameters when all is there, freed where something fails.
/// </summary>
internal sealed class ParameterStorage : IDisposable
{
    private readonly ImmutableArray<(string Name, Parameter Parameter)> _parameters;
    private readonly Tensor[] _tensors;
    private readonly Dictionary<Parameter, int> _indices = new(ReferenceEqualityComparer.Instance);
    private bool _given;

    /// <summary>Allocates the storage of parameters, in their order.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="device">The device.</param>
    /// <param name="gets">Whether the parameter of an index gets any; the others stay on the meta device.</param>
    /// <param name="cancellationToken">Ends the work between two parameters.</param>
    /// <exception cref="DeviceMemoryException">The device has not enough memory; nothing stays allocated.</exception>
    public ParameterStorage(ImmutableArray<(string Name, Parameter Parameter)> parameters, Device device, Func<int, bool> gets, CancellationToken cancellationToken)
    {
        _parameters = parameters;
        _tensors = new Tensor[_parameters.Length];
        try
        {
            for (var i = 0; i < _tensors.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var parameter = _parameters[i].Parameter;
                _indices.Add(parameter, i);
                _tensors[i] = Tensor.Empty(parameter.DType, parameter.Shape, gets(i) ? device : MetaDevice.Shared);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The tensors.</summary>
    public IReadOnlyList<Tensor> Tensors => _tensors;

    /// <summary>Sets every element of a parameter to 0: nothing, or not all of it, will be filled.</summary>
    public void Clear(int parameter) => _tensors[parameter].Fill(new byte[_tensors[parameter].DType.BlockSize]);

    /// <summary>Does something with a parameter that sees its storage, which is not its own yet.</summary>
    public void With(Parameter parameter, Action action)
    {
        var index = _indices[parameter];
        var before = parameter.Exchange(_tensors[index]);
        try
        {
            action();
        }
        finally
        {
            // A loader may have replaced the tensor; then that is the storage.
            _tensors[index] = parameter.Exchange(before);
        }
    }

    /// <summary>Gives the storage to the parameters.</summary>
    /// <param name="gets">Whether the parameter of an index gets its; the others stay as they are.</param>
    public void Give(Func<int, bool>? gets = null)
    {
        _given = true;
        for (var i = 0; i < _tensors.Length; i++)
        {
            if (gets?.Invoke(i) == false)
            {
                _tensors[i].Dispose();
                continue;
            }

            _parameters[i].Parameter.SetData(_tensors[i]);
        }
    }

    /// <summary>Frees the storage, unless it was given to the parameters.</summary>
    public void Dispose()
    {
        if (!_given)
        {
            foreach (var tensor in _tensors)
            {
                tensor?.Dispose();
            }
        }
    }
}
