using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A live model of three layers of bytes, and a reload that fills each with the number of the reload, as a test wants it.</summary>
internal sealed class HotModelBed : IAsyncDisposable
{
    public const string First = "model.layers.0";
    public const string Second = "model.layers.1";
    public const string Head = "lm_head";
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly Module _saved = new();
    private readonly List<Tensor> _tensors = [];
    private readonly Owned _owned;

    public HotModelBed()
    {
        Layers =
        [
            Layer(First, [$"{First}.self_attn.q_proj", $"{First}.norm"]),
            Layer(Second, [$"{Second}.self_attn.q_proj", $"{Second}.norm"]),
            Layer(Head, [Head]),
        ];
        _owned = new Owned(this);
        Model = new HotModel(_saved, Layers, ReloadAsync, (_, _, _, _, _) => throw new InvalidOperationException("Nothing was saved."), [_owned], new HotModelOptions { LeaseTimeout = Timeout, TimeProvider = Time });
    }

    public ManualTime Time { get; } = new();

    public ImmutableArray<ModelLayer> Layers { get; }

    public HotModel Model { get; }

    public bool IsFreed { get; private set; }

    /// <summary>How many reloads have begun.</summary>
    public int Begun { get; private set; }

    /// <summary>How many reloads run.</summary>
    public int Running { get; private set; }

    /// <summary>What each layer ends as; <see cref="LayerOutcome.New"/> where nothing is said.</summary>
    public Dictionary<string, LayerOutcome> Outcomes { get; } = [];

    /// <summary>Runs while a layer is closed, before it is written.</summary>
    public Func<ModelLayer, CancellationToken, Task>? Writing { get; set; }

    /// <summary>Whether the gate is told of copies; a reload may also have nothing to copy.</summary>
    public bool TellsGate { get; set; } = true;

    public async Task<ReloadReport> ReloadAsync(CancellationToken cancellationToken = default)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny(), "tiny"), cancellationToken: cancellationToken);
        return await Model.ReloadAsync(checkpoint, cancellationToken: cancellationToken);
    }

    public static byte Value(LayerLease lease) => lease["norm.weight"].AsReadOnlySpan<byte>()[0];

    public async ValueTask DisposeAsync()
    {
        // One whose end has failed says so each time.
        if (!IsFreed)
        {
            await Model.DisposeAsync();
        }

        Free();
    }

    private async Task<ReloadReport> ReloadAsync(Checkpoint checkpoint, ReloadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        Begun++;
        Running++;
        var number = (byte)(Begun + 1);
        var outcomes = Layers.ToDictionary(layer => layer, _ => LayerOutcome.NotReached);
        try
        {
            foreach (var layer in Layers)
            {
                var outcome = Outcomes.GetValueOrDefault(layer.Name, LayerOutcome.New);
                if (outcome is LayerOutcome.New or LayerOutcome.Torn)
                {
                    using var closure = await options.Gate!.CloseAsync(layer, cancellationToken);
                    outcome = closure is null ? LayerOutcome.Busy : await WriteAsync(options.Gate, layer, number, outcome, cancellationToken);
                }

                outcomes[layer] = outcome;
                if (outcome == LayerOutcome.Torn)
                {
                    throw new ReloadFailedException("The device failed.", Report(), new IOException("gone"));
                }
            }

            return Report();
        }
        catch (OperationCanceledException exception)
        {
            throw new ReloadCanceledException("Cancelled.", Report(), exception, cancellationToken);
        }
        finally
        {
            Running--;
        }

        ReloadReport Report() => new() { Layers = [.. Layers.Select(layer => new ReloadedLayer(layer, outcomes[layer]))] };
    }

    private async Task<LayerOutcome> WriteAsync(ILayerGate gate, ModelLayer layer, byte number, LayerOutcome outcome, CancellationToken cancellationToken)
    {
        await (Writing?.Invoke(layer, cancellationToken) ?? Task.CompletedTask);
        if (TellsGate)
        {
            gate.BeginCopy(layer);
        }

        foreach (var tensor in layer.Tensors.Values)
        {
            tensor.AsSpan<byte>().Fill(number);
        }

        if (TellsGate && outcome == LayerOutcome.New)
        {
            gate.EndCopy(layer);
        }

        return outcome;
    }

    private ModelLayer Layer(string name, string[] modules) =>
        new(name, [.. modules], modules.Select(module => KeyValuePair.Create($"{module}.weight", Filled())));

    private Tensor Filled()
    {
        var tensor = Tensor.FromValues<byte>(DType.U8, new Shape(4), [1, 1, 1, 1]);
        _tensors.Add(tensor);
        return tensor;
    }

    private void Free()
    {
        IsFreed = true;
        _tensors.ForEach(tensor => tensor.Dispose());
    }

    private sealed class Owned(HotModelBed bed) : IDisposable
    {
        public void Dispose() => bed.Free();
    }
}
