using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What the modules of a layer have beside weights, while its new weights are processed: copies of the values before the first processing, which methods may use and change. What they leave as it was stays the
/// live model's own, with whatever that has in it by now. Not safe for several threads.
/// </summary>
internal sealed class LoadingBuffers : IDisposable
{
    private readonly List<(ModuleTensors Tensors, string Name, Tensor Given, Tensor Before)> _given = [];

    private LoadingBuffers()
    {
    }

    /// <summary>Gives the modules copies.</summary>
    /// <param name="layer">The layer, whose modules have the tensors that weights are loaded into.</param>
    /// <param name="loading">The tensors of its modules.</param>
    /// <param name="captured">The values before the first processing.</param>
    public static LoadingBuffers Begin(LiveLayer layer, LoadingTensors loading, CapturedModel captured)
    {
        var buffers = new LoadingBuffers();
        try
        {
            foreach (var module in layer.Modules)
            {
                if (loading.LoadingOf(module) is not { } tensors)
                {
                    continue;
                }

                var live = loading.LiveOf(module);
                foreach (var (name, meta) in tensors.Buffers.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)).ToList())
                {
                    if (ValuesOf(captured, module, name, meta, live) is { } values)
                    {
                        buffers.Give(tensors, name, meta, values, layer.Device);
                    }
                }
            }

            return buffers;
        }
        catch
        {
            buffers.Dispose();
            throw;
        }
    }

    /// <summary>Takes the copies out again that no method has changed; what is left goes into the live model.</summary>
    public void TakeOutUnchanged()
    {
        foreach (var (tensors, name, given, before) in _given)
        {
            if (tensors.Buffers.TryGetValue(name, out var now) && ReferenceEquals(now, given) && TensorContent.Equal(now, before))
            {
                _ = tensors.Buffers.Remove(name);
                now.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, _, _, before) in _given)
        {
            before.Dispose();
        }
    }

    // What was there before the first processing; of a buffer that had no values then, what the live model has.
    private static Tensor? ValuesOf(CapturedModel captured, Module module, string name, Tensor meta, ModuleTensors live) =>
        captured.ValuesOf(module, name)
        ?? (live.Buffers.TryGetValue(name, out var values) && values.Device.Kind != DeviceKind.Meta && values.DType == meta.DType && values.Shape == meta.Shape ? values : null);

    private void Give(ModuleTensors tensors, string name, Tensor meta, Tensor values, Device device)
    {
        var given = MetaTensors.Materialize(meta, values.Device.IsHost ? values.Device : device);
        try
        {
            given.CopyFrom(values);
            _given.Add((tensors, name, given, values.To(HostDevice.Shared)));
        }
        catch
        {
            given.Dispose();
            throw;
        }

        tensors.Buffers[name] = given;
        meta.Dispose();
    }
}
