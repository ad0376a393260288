using System.Collections.Frozen;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Tensors of a layer without storage, by which a live layer is loaded anew: what it had before it was processed is captured, restored on the meta device, counted as it is loaded, and given storage when all of
/// it is there. The counterpart of vLLM's <c>model_loader.reload.meta</c>. Safe for any thread, as long as each module is one's own.
/// </summary>
public static class MetaTensors
{
    /// <summary>Classes of modules (<see cref="Module.ClassName"/>) that stay as they are: what they have is computed and never loaded.</summary>
    public static FrozenSet<string> SkipModules { get; } = FrozenSet.Create(StringComparer.Ordinal, "HadamardTransform");

    /// <summary>Names of tensors that stay as they are: which experts a rank has is not loaded.</summary>
    public static FrozenSet<string> SkipTensors { get; } = FrozenSet.Create(
        StringComparer.Ordinal, "_expert_map", "expert_mask", "expert_global_to_physical", "expert_physical_to_global", "expert_local_to_global");

    /// <summary>A tensor of the same dtype, shape and strides without storage.</summary>
    /// <param name="tensor">The tensor; stays the caller's.</param>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public static Tensor ToMeta(Tensor tensor) => Like(tensor, MetaDevice.Shared);

    /// <summary>A parameter of the same class, loader and attributes, whose tensor has no storage.</summary>
    /// <param name="parameter">The parameter; stays the caller's.</param>
    /// <exception cref="ObjectDisposedException">Its tensor was disposed.</exception>
    public static Parameter ToMeta(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return parameter.With(ToMeta(parameter.Data));
    }

    /// <summary>A tensor of the same dtype, shape and strides with storage from its first element to the last one that the strides reach; the content is undefined.</summary>
    /// <param name="tensor">A tensor on the meta device; stays the caller's.</param>
    /// <param name="device">The device; null for <see cref="CurrentDevice.Current"/>.</param>
    /// <exception cref="ArgumentException">The tensor has storage, or the device has none to give.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public static Tensor Materialize(Tensor tensor, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.Device.Kind != DeviceKind.Meta)
        {
            throw new ArgumentException($"{tensor} has storage already.", nameof(tensor));
        }

        device ??= CurrentDevice.Current;
        return device.Kind == DeviceKind.Meta ? throw new ArgumentException("The meta device has no storage to give.", nameof(device)) : Like(tensor, device);
    }

    /// <summary>A parameter of the same class, loader and attributes whose tensor has storage.</summary>
    /// <param name="parameter">A parameter on the meta device; stays the caller's.</param>
    /// <param name="device">The device; null for <see cref="CurrentDevice.Current"/>.</param>
    /// <inheritdoc cref="Materialize(Tensor, Device?)" path="/exception"/>
    public static Parameter Materialize(Parameter parameter, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return parameter.With(Materialize(parameter.Data, device));
    }

    /// <summary>
    /// Captures a module's own parameters and buffers without their storage, but for <see cref="SkipTensors"/>; nothing of <see cref="SkipModules"/>. Modules below it are layers of their own.
    /// </summary>
    /// <remarks>
    /// What refers to the module does not keep it alive meanwhile: an attribute that is the module, and loaders and delegates among the attributes that are its methods. A parameter under two names of the
    /// module is one parameter again when it is restored.
    /// </remarks>
    /// <param name="layer">The module; nothing of it changes.</param>
    /// <returns>What was captured, which the caller disposes.</returns>
    /// <exception cref="ObjectDisposedException">One of its tensors was disposed.</exception>
    public static CapturedLayer CaptureLayerToMeta(Module layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return IsSkipped(layer) ? new CapturedLayer([], []) : Copy(layer.Parameters, layer.Buffers, parameter => LayerReferences.Detach(parameter, layer));
    }

    /// <summary>
    /// Brings a module back to what was captured: its own tensors are taken out, also those that processing has added, but for <see cref="SkipTensors"/>; and what was captured is registered in its
    /// order, parameters before buffers, on the meta device. Modules of <see cref="SkipModules"/> stay as they are.
    /// </summary>
    /// <remarks>
    /// Nothing is disposed here, as PyTorch's <c>delattr</c> drops a reference: an embedding's weight that a head is tied to is the embedding's still. What was captured stays as it is, and can be restored again. Where
    /// this fails, nothing has changed.
    /// </remarks>
    /// <param name="layer">The module that was captured, or another one of its class: attributes and loaders that referred to the one refer to this one.</param>
    /// <param name="captured">What was captured; stays the caller's.</param>
    /// <returns>What was taken out, which the caller disposes: <see cref="ReplacedTensors.Dispose"/>, or <see cref="ReplacedTensors.DisposeUnheld"/> where other modules may hold some of it.</returns>
    /// <exception cref="ArgumentException">The module is of another class: a loader or attribute is none of its methods, or a name is taken by a module below it.</exception>
    /// <exception cref="ObjectDisposedException">What was captured was disposed.</exception>
    public static ReplacedTensors RestoreLayerOnMeta(Module layer, CapturedLayer captured)
    {
        ArgumentNullException.ThrowIfNull(layer);
        ArgumentNullException.ThrowIfNull(captured);
        ObjectDisposedException.ThrowIf(captured.IsDisposed, captured);
        var replaced = new ReplacedTensors();
        if (IsSkipped(layer))
        {
            return replaced;
        }

        // Before anything changes, what can fail; then there is nothing that can.
        if (captured.Parameters.Keys.Concat(captured.Buffers.Keys).FirstOrDefault(layer.Children.ContainsKey) is { } taken)
        {
            throw new ArgumentException($"{Quoted.Name(taken)} was captured as a tensor, and a {layer.ClassName} has a module of that name: restore what was captured into a module of the same class.", nameof(layer));
        }

        var copy = Copy(captured.Parameters, captured.Buffers, parameter => LayerReferences.Attach(parameter, layer));
        foreach (var name in layer.Parameters.Keys.Where(name => !SkipTensors.Contains(name)).ToArray())
        {
            replaced.Add(name, layer.TakeParameter(name)!);
        }

        foreach (var name in layer.Buffers.Keys.Where(name => !SkipTensors.Contains(name)).ToArray())
        {
            replaced.Add(name, layer.TakeBuffer(name)!);
        }

        foreach (var (name, parameter) in copy.Parameters)
        {
            _ = layer.Register(name, parameter);
        }

        foreach (var (name, buffer) in copy.Buffers)
        {
            _ = layer.Register(name, buffer);
        }

        return replaced;
    }

    /// <summary>
    /// Gives all of a module's own tensors that have none storage, but for <see cref="SkipTensors"/> and the modules of <see cref="SkipModules"/>: all, or none where this fails. Parameters stay the same objects, with
    /// another tensor. A buffer that another module has too stays without storage there. The content is undefined.
    /// </summary>
    /// <param name="layer">The module.</param>
    /// <param name="device">The device; null for <see cref="CurrentDevice.Current"/>.</param>
    /// <param name="chosen">Which parameters get storage; null for all. An optional one that nothing fills stays on the meta device, as a load leaves it.</param>
    /// <exception cref="ArgumentException">The device has no storage to give.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static void MaterializeLayer(Module layer, Device? device = null, Predicate<Parameter>? chosen = null)
    {
        ArgumentNullException.ThrowIfNull(layer);
        if (IsSkipped(layer))
        {
            return;
        }

        var made = new Dictionary<object, Tensor>(ReferenceEqualityComparer.Instance);
        try
        {
            foreach (var (name, parameter) in layer.Parameters)
            {
                if (!SkipTensors.Contains(name) && parameter.IsMeta && chosen?.Invoke(parameter) != false && !made.ContainsKey(parameter))
                {
                    made.Add(parameter, Materialize(parameter.Data, device));
                }
            }

            foreach (var (name, buffer) in layer.Buffers)
            {
                if (!SkipTensors.Contains(name) && buffer.Device.Kind == DeviceKind.Meta && !made.ContainsKey(buffer))
                {
                    made.Add(buffer, Materialize(buffer, device));
                }
            }
        }
        catch
        {
            foreach (var tensor in made.Values)
            {
                tensor.Dispose();
            }

            throw;
        }

        foreach (var name in layer.Buffers.Keys.ToArray())
        {
            if (made.TryGetValue(layer.Buffers[name], out var tensor))
            {
                // What it had has no storage to free, and may be another module's too.
                _ = layer.ExchangeBuffer(name, tensor);
            }
        }

        foreach (var (owner, tensor) in made)
        {
            _ = (owner as Parameter)?.Exchange(tensor);
        }
    }

    /// <summary>How many elements a weight loader would write: the sum of its copies to the meta device and its fills there. A copy of one element into many does not count as many: it is refused.</summary>
    /// <param name="loader">The loader.</param>
    /// <param name="parameter">A parameter on the meta device.</param>
    /// <param name="weight">The weight, with its values or without; stays the caller's.</param>
    /// <param name="shard">Which part of the parameter the weight is.</param>
    /// <exception cref="ArgumentException">The parameter has storage; or the two sides of a copy have other numbers of elements.</exception>
    /// <exception cref="ModelMismatchException">The loader refuses the weight.</exception>
    public static ElementsLoaded GetNumelLoaded(WeightLoader loader, Parameter parameter, Weight weight, ShardId shard = default)
    {
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentNullException.ThrowIfNull(weight);
        return GetNumelLoaded(parameter, target =>
        {
            loader(target, weight, shard);
            return true;
        }).Loaded;
    }

    /// <summary>How many elements a call would write that loads a parameter, and what it returns: such as whether an expert is on this rank.</summary>
    /// <param name="parameter">A parameter on the meta device.</param>
    /// <param name="load">The call; it runs on this thread, once.</param>
    /// <returns>The elements, and what the call returned; the default where it was left for values that are not there.</returns>
    /// <inheritdoc cref="GetNumelLoaded(WeightLoader, Parameter, Weight, ShardId)" path="/exception"/>
    public static (ElementsLoaded Loaded, T? Result) GetNumelLoaded<T>(Parameter parameter, Func<Parameter, T> load)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        ArgumentNullException.ThrowIfNull(load);
        if (!parameter.IsMeta)
        {
            throw new ArgumentException($"{parameter} has storage; what a loader writes is counted on the meta device ({nameof(ToMeta)}).", nameof(parameter));
        }

        using var recorder = new MetaRecorder();
        try
        {
            var result = load(parameter);
            return (new ElementsLoaded(recorder.ElementCount, true), result);
        }
        catch (ValuesRequiredException exception)
        {
            // As with a load that is recorded: what works on the parameter's own values, behind its copies, writes nothing new.
            return (new ElementsLoaded(recorder.ElementCount, exception.Weight is null && recorder.ElementCount > 0), default);
        }
    }

    private static bool IsSkipped(Module layer) => SkipModules.Contains(layer.ClassName);

    private static Tensor Like(Tensor tensor, Device device)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
        return Tensor.EmptyStrided(tensor.DType, tensor.Shape, tensor.Strides, device);
    }

    // One copy for each parameter and buffer, also where it has two names.
    private static CapturedLayer Copy(IReadOnlyDictionary<string, Parameter> parameters, IReadOnlyDictionary<string, Tensor> buffers, Action<Parameter> change)
    {
        var (copies, metas) = (new Dictionary<Parameter, Parameter>(ReferenceEqualityComparer.Instance), new Dictionary<Tensor, Tensor>(ReferenceEqualityComparer.Instance));
        var (ownParameters, ownBuffers) = (new OrderedDictionary<string, Parameter>(StringComparer.Ordinal), new OrderedDictionary<string, Tensor>(StringComparer.Ordinal));
        try
        {
            foreach (var (name, parameter) in parameters.Where(entry => !SkipTensors.Contains(entry.Key)))
            {
                var isNew = !copies.TryGetValue(parameter, out var own);
                if (isNew)
                {
                    own = ToMeta(parameter);
                    copies.Add(parameter, own);
                }

                ownParameters.Add(name, own!);
                if (isNew)
                {
                    change(own!);
                }
            }

            foreach (var (name, buffer) in buffers.Where(entry => !SkipTensors.Contains(entry.Key)))
            {
                if (!metas.TryGetValue(buffer, out var own))
                {
                    own = ToMeta(buffer);
                    metas.Add(buffer, own);
                }

                ownBuffers.Add(name, own);
            }

            return new CapturedLayer(ownParameters, ownBuffers);
        }
        catch
        {
            new CapturedLayer(ownParameters, ownBuffers).Dispose();
            throw;
        }
    }
}
