using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// All tensors of a plan, loaded. Owns them: disposing the model disposes every tensor that was not detached. Looking
/// up is safe for any thread; detaching and disposing are not.
/// </summary>
[SuppressMessage("Naming", "CA1710:Identifiers should have correct suffix", Justification = "A model, which can also be enumerated.")]
public sealed class LoadedModel : IReadOnlyCollection<LoadedTensor>, IAsyncDisposable, IDisposable
{
    private readonly Dictionary<string, Tensor> _tensors;
    private readonly ImmutableArray<string> _order;
    private readonly Dictionary<string, DType> _storedOfConverted;
    private readonly string? _weightsRoot;
    private bool _disposed;

    internal LoadedModel(LoadPlan plan, IReadOnlyList<Tensor> tensors, LoadStatistics statistics)
    {
        Name = plan.Checkpoint.Path;
        Metadata = plan.Checkpoint.Metadata;
        Config = plan.Checkpoint.Config;
        _weightsRoot = plan.Checkpoint.WeightsRoot;
        Statistics = statistics;
        HasTies = plan.TiedCount > 0 || plan.Blocks.Length > 0 || plan.Slabs.Length > 0;
        _order = [.. plan.Tensors.Select(tensor => tensor.Name)];
        _storedOfConverted = plan.Tensors.Where(tensor => tensor.DType != tensor.Source.DType).ToDictionary(tensor => tensor.Name, tensor => tensor.Source.DType);
        _tensors = new Dictionary<string, Tensor>(tensors.Count);
        for (var i = 0; i < tensors.Count; i++)
        {
            _tensors.Add(_order[i], tensors[i]);
        }
    }

    // The same tensors on one device of several.
    private LoadedModel(LoadedModel model, Device device)
    {
        (Name, Metadata, Config, Statistics, HasTies) = (model.Name, model.Metadata, model.Config, model.Statistics, model.HasTies);
        (_weightsRoot, _order, _storedOfConverted) = (model._weightsRoot, model._order, model._storedOfConverted);
        _tensors = new Dictionary<string, Tensor>(model._tensors.Count);
        try
        {
            foreach (var (name, tensor) in model._tensors)
            {
                _tensors.Add(name, tensor.On(device));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The checkpoint's path.</summary>
    public string Name { get; }

    /// <summary>The checkpoint's own metadata.</summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>The checkpoint's configuration, where it has one.</summary>
    public ModelConfig? Config { get; }

    /// <summary>What the load did and how long it took.</summary>
    public LoadStatistics Statistics { get; }

    /// <summary>Whether tensors of the model were made to share memory.</summary>
    internal bool HasTies { get; }

    /// <summary>The dtype that a tensor had in its file where the load changed it, by its name in the checkpoint; else null.</summary>
    internal DType? FindConverted(string name) => _storedOfConverted.TryGetValue(name, out var dtype) ? dtype : null;

    /// <summary>The number of tensors that the model holds.</summary>
    public int Count => _tensors.Count;

    /// <summary>The names, in the order of the tensors' bytes in the checkpoint.</summary>
    public IEnumerable<string> Names => _order.Where(_tensors.ContainsKey);

    /// <summary>The tensor of this name; it stays the model's.</summary>
    /// <exception cref="TensorNotFoundException">There is none; the exception has the nearest names.</exception>
    public Tensor this[string name] =>
        TryGetTensor(name, out var tensor) ? tensor : throw new TensorNotFoundException(name, Name, _order);

    /// <summary>
    /// Finds a tensor by its exact name, or by its name below <see cref="Checkpoint.WeightsRoot"/>; it stays the model's.
    /// </summary>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor) =>
        _tensors.TryGetValue(name, out tensor)
        || (_weightsRoot is not null && _tensors.TryGetValue($"{_weightsRoot}.{name}", out tensor));

    /// <summary>
    /// Takes a tensor out of the model, by a name as <see cref="TryGetTensor"/> knows it: the caller owns it from now on. The memory that it
    /// shares with others (ties, blocks, slabs) stays until the last of them is disposed.
    /// </summary>
    /// <exception cref="TensorNotFoundException">There is none; the exception has the nearest names.</exception>
    public Tensor Detach(string name) =>
        _tensors.Remove(name, out var tensor)
        || (_weightsRoot is not null && _tensors.Remove($"{_weightsRoot}.{name}", out tensor))
            ? tensor
            : throw new TensorNotFoundException(name, Name, _order);

    /// <summary>
    /// The model as one device of a <see cref="DeviceGroup"/> has it: the same names, with that device's own tensors. It
    /// owns its tensors by itself: when this model is disposed the other devices' memory is freed, and this device's with
    /// the last of both. What both hold is the same memory. Detached tensors are in neither.
    /// </summary>
    /// <param name="device">A member of the group, or the device itself that the model was loaded onto.</param>
    /// <returns>A model, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The model is not on that device.</exception>
    /// <exception cref="ObjectDisposedException">The model, or a tensor of it, was disposed.</exception>
    public LoadedModel On(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new LoadedModel(this, device);
    }

    /// <inheritdoc/>
    public IEnumerator<LoadedTensor> GetEnumerator() =>
        Names.Select(name => new LoadedTensor(name, _tensors[name])).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Disposes the tensors that were not detached.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var tensor in _tensors.Values)
        {
            tensor.Dispose();
        }
    }

    /// <summary>Disposes the tensors that were not detached.</summary>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}
