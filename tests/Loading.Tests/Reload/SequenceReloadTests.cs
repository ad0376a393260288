using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Reloads from weights that come one by one.</summary>
[Trait("Area", "Reload")]
public sealed class SequenceReloadTests
{
    [Theory]
    [InlineData("LlamaForCausalLM", true)]
    [InlineData("LlamaForCausalLM", false)]
    [InlineData("MixtralForCausalLM", false)]
    public async Task Reload_WeightsInAnyOrder_IsWhatAFreshLoadGives(string architecture, bool lazy)
    {
        await using var first = await RanksSample.SampleOf(architecture, 1).OpenAsync();
        var sample = RanksSample.SampleOf(architecture, 2);
        await using var second = await sample.OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync(architecture, first, device);
        var (places, bytes) = (live.Places(), device.LiveBytes);
        var names = second.Tensors.Select(tensor => tensor.Name).ToArray();
        new Random(4).Shuffle(names);
        var made = new List<Weight>();
        var report = await live.Reloader.ReloadAsync(Weights(names, name => lazy ? Weight.Lazy(second[name]) : Eager(sample, second[name]), made).ToAsyncEnumerable());
        Assert.True(report.IsWhole);
        Assert.Equal(await live.ExpectedAsync(second), live.Read());
        Assert.Equal(places, live.Places());
        Assert.Equal(bytes, device.LiveBytes);
        Assert.All(made, weight => Assert.True(weight.Tensor.IsDisposed));
    }

    [Fact]
    public async Task Reload_ALayersElementsAreCounted_ItIsNewBeforeTheNextWeightIsAskedFor()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        var sample = RanksSample.SampleOf("LlamaForCausalLM", 2);
        await using var second = await sample.OpenAsync();
        var device = new LateDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var (model, gate, made) = (device.LiveBytes, new RecordingGate(), new List<Weight>());
        var order = second.Tensors.Select(tensor => tensor.Name).OrderBy(LiveLayers.LayerOf, StringComparer.Ordinal).ToArray();
        var seen = new List<(string Next, int Opened, int Held)>();
        var weights = Weights(
            order,
            name =>
            {
                seen.Add((name, gate.Steps.Count(step => step.StartsWith("open", StringComparison.Ordinal)), made.Count(weight => !weight.Tensor.IsDisposed)));
                return Eager(sample, second[name]);
            },
            made);
        Assert.True((await live.Reloader.ReloadAsync(weights.ToAsyncEnumerable(), new ReloadOptions { Gate = gate })).IsWhole);
        var layers = order.Select(LiveLayers.LayerOf).ToArray();
        foreach (var ((next, opened, held), i) in seen.Select((entry, i) => (entry, i)))
        {
            // lm_head.weight and the like are parameters of layers of their own.
            var before = layers.Take(i).Select(Layer).Distinct().ToArray();
            var isWithin = i > 0 && Layer(layers[i - 1]) == Layer(layers[i]);
            Assert.Equal((next, before.Length - (isWithin ? 1 : 0), isWithin ? layers.Take(i).Count(layer => Layer(layer) == Layer(layers[i])) : 0), (next, opened, held));
        }

        Assert.InRange(device.PeakBytes, model + 1, model + live.Reloader.Layers.Max(layer => layer.ByteLength));

        static string Layer(string name) => name.StartsWith("model.layers.", StringComparison.Ordinal) ? name : name[..name.LastIndexOf('.')];
    }

    [Fact]
    public async Task Reload_ASequenceThatEndsEarly_KeepsWhatIsIncompleteAndReportsWhatIsLeft()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        var sample = RanksSample.SampleOf("LlamaForCausalLM", 2, null, ("stranger", DType.F32, [2]));
        await using var second = await sample.OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var (before, bytes, made) = (live.Read(), device.LiveBytes, new List<Weight>());
        string[] names = ["lm_head.weight", "stranger", "model.layers.0.mlp.gate_proj.weight", "model.norm.weight", "lm_head.weight"];
        var report = await live.Reloader.ReloadAsync(Weights(names, name => Eager(sample, second[name]), made).ToAsyncEnumerable());
        Assert.Equal(["model.norm", "lm_head"], report.NewLayers);
        Assert.Equal(["lm_head.weight", "stranger"], report.Unexpected.Order(StringComparer.Ordinal));
        Assert.Equal(3, report.Layers.Count(layer => layer.Outcome == LayerOutcome.Incomplete));
        Assert.Contains("nothing fills parameter 'model.embed_tokens.weight'", report.Layers[0].Reason, StringComparison.Ordinal);
        var now = live.Read();
        Assert.Equal(["lm_head.weight", "model.norm.weight"], now.Keys.Where(name => !now[name].AsSpan().SequenceEqual(before[name])).Order(StringComparer.Ordinal));
        Assert.Equal(bytes, device.LiveBytes);
        Assert.All(made, weight => Assert.True(weight.Tensor.IsDisposed));
    }

    [Fact]
    public async Task Reload_TheSequenceFailsOrAWeightDoesNotFit_SaysWhichLayersAreNew()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        var sample = RanksSample.SampleOf("LlamaForCausalLM", 2);
        await using var second = await sample.OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var (bytes, made) = (device.LiveBytes, new List<Weight>());
        string[] names = ["model.norm.weight", "model.layers.0.mlp.gate_proj.weight", "lm_head.weight"];
        var failed = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(
            Weights(names, name => name == "lm_head.weight" ? throw new IOException("gone") : Eager(sample, second[name]), made).ToAsyncEnumerable()));
        Assert.IsType<IOException>(failed.InnerException);
        Assert.Equal(["model.norm"], failed.Report.NewLayers);
        failed = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(
            Weights(names, name => name == "lm_head.weight" ? new Weight(name, Tensor.Empty(DType.F16, new Shape(3, 3))) : Eager(sample, second[name]), made).ToAsyncEnumerable()));
        Assert.IsType<ModelMismatchException>(failed.InnerException);
        Assert.Equal(bytes, device.LiveBytes);
        Assert.All(made, weight => Assert.True(weight.Tensor.IsDisposed));
        Assert.True((await live.Reloader.ReloadAsync(second)).IsWhole);
    }

    private static IEnumerable<Weight> Weights(IEnumerable<string> names, Func<string, Weight> make, List<Weight> made)
    {
        foreach (var name in names)
        {
            var weight = make(name);
            made.Add(weight);
            yield return weight;
        }
    }

    private static Weight Eager(Sample sample, TensorInfo tensor) => new(tensor.Name, Tensor.FromValues<byte>(tensor.DType, tensor.Shape, sample.Tensors[tensor.Name]));
}
