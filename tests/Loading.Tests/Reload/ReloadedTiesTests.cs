using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Reloads of models whose modules have parameters, memory or buffers that are more than one module's business.</summary>
[Trait("Area", "Reload")]
public sealed class ReloadedTiesTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reload_ProcessingPartsATiedParameter_BothModulesHaveTheNewWeights(bool fromSequence)
    {
        using var model = new Module();
        var tied = model.Register("embed", new Module()).Register("weight", new Parameter(DType.U8, new Shape(2)));
        var head = model.Register("head", new Module { QuantizeMethod = new Inverting(replaces: true) });
        _ = head.Register("weight", tied);
        using var reloader = ModelReloader.Capture(model, DType.BF16);
        tied.SetData(Bytes(1, 1));
        WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
        Assert.Equal(["embed"], reloader.Attach().Select(layer => layer.Name));
        await using var checkpoint = await FileOf(("embed.weight", [2, 3]));
        var report = fromSequence ? await reloader.ReloadAsync(Weights(("embed.weight", [2, 3])).ToAsyncEnumerable()) : await reloader.ReloadAsync(checkpoint);
        Assert.True(report.IsWhole);
        Assert.Equal([2, 3], Read(model.Children["embed"].Parameters["weight"].Data));
        Assert.Equal([0xF2, 0xF3], Read(head.Parameters["weight"].Data));
    }

    [Fact]
    public async Task Reload_OneMemoryWithTwoValues_KeepsTheLayerAndSaysSo()
    {
        using var model = new Module();
        using var memory = Bytes(1, 1, 1);
        model.Register("a", new Module()).Register("weight", new Parameter(DType.U8, new Shape(2)));
        model.Register("b", new Module()).Register("weight", new Parameter(DType.U8, new Shape(2)));
        using var reloader = ModelReloader.Capture(model, DType.BF16);
        model.Children["a"].Parameters["weight"].SetData(memory.Narrow(0, 0, 2));
        model.Children["b"].Parameters["weight"].SetData(memory.Narrow(0, 1, 2));
        reloader.Attach();
        await using var differing = await FileOf(("a.weight", [2, 3]), ("b.weight", [4, 5]));
        var kept = Assert.Single((await reloader.ReloadAsync(differing)).Layers);
        Assert.Equal(LayerOutcome.Failed, kept.Outcome);
        Assert.Contains("'a.weight' shares memory with 'b.weight'", kept.Reason, StringComparison.Ordinal);
        Assert.Equal([1, 1, 1], Read(memory));
        await using var agreeing = await FileOf(("a.weight", [2, 3]), ("b.weight", [3, 5]));
        Assert.True((await reloader.ReloadAsync(agreeing)).IsWhole);
        Assert.Equal([2, 3, 5], Read(memory));
    }

    [Fact]
    public async Task Reload_AMethodThatChangesABuffer_ChangesWhatWasThereBeforeItsFirstTime()
    {
        using var model = new Module();
        var layer = model.Register("layer", new Module { QuantizeMethod = new Inverting(replaces: false) });
        layer.Register("weight", new Parameter(DType.U8, new Shape(2)));
        var buffer = layer.Register("buffer", Bytes(1, 1));
        var other = layer.Register("counter", Bytes(7));
        using var reloader = ModelReloader.Capture(model, DType.BF16);
        layer.Parameters["weight"].SetData(Bytes(5, 5));
        WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
        reloader.Attach();
        Assert.Equal([0xF1, 0xF1], Read(buffer));
        // What a method does not touch may have changed since.
        other.Fill(8);
        await using var checkpoint = await FileOf(("layer.weight", [6, 6]));
        Assert.True((await reloader.ReloadAsync(checkpoint)).IsWhole);
        Assert.Equal([0xF1, 0xF1], Read(buffer));
        Assert.Equal([0xF6, 0xF6], Read(layer.Parameters["weight"].Data));
        Assert.Equal([8], Read(other));
        Assert.Same(buffer, layer.Buffers["buffer"]);
    }

    [Fact]
    public async Task Reload_ALoaderThatLooksAtValues_IsCompleteOnlyWithItsLastWeight()
    {
        using var model = new HalvesByValue();
        using var reloader = ModelReloader.Capture(model, DType.BF16);
        model.Parameters["weight"].SetData(Bytes(1, 1, 1, 1));
        reloader.Attach();
        var report = await reloader.ReloadAsync(Weights(("a", [2, 2]), ("b", [3, 3])).ToAsyncEnumerable());
        Assert.True(report.IsWhole);
        Assert.Empty(report.Unexpected);
        Assert.Equal([2, 2, 3, 3], Read(model.Parameters["weight"].Data));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reload_AScaleThatNoParameterTakes_RefusesRawNumbersWhicheverComesFirst(bool scaleFirst)
    {
        using var model = new Module();
        model.Register("layer", new Module()).Register("weight", new Parameter(DType.BF16, new Shape(2)));
        model.Register("other", new Module()).Register("weight", new Parameter(DType.U8, new Shape(1)));
        using var reloader = ModelReloader.Capture(model, DType.BF16);
        foreach (var (_, parameter) in model.NamedParameters())
        {
            parameter.SetData(Tensor.Empty(parameter.DType, parameter.Shape));
            parameter.Data.Fill(1);
        }

        reloader.Attach();
        Weight[] pair = [new("layer.weight", Tensor.FromValues<byte>(DType.F8_E4M3, new Shape(2), [0x38, 0x40])), new("layer.weight_scale", Tensor.FromValues<float>(DType.F32, new Shape(1), [3]))];
        var exception = await Assert.ThrowsAsync<ReloadFailedException>(() => reloader.ReloadAsync(
            Weights(("other.weight", [9])).Concat(scaleFirst ? pair.Reverse() : pair).ToAsyncEnumerable()));
        Assert.Contains("'layer.weight_scale' goes into no parameter", exception.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal(["other"], exception.Report.NewLayers);
        Assert.Equal(["layer.weight_scale"], exception.Report.Unexpected.ToArray());
        using var ones = Tensor.Empty(DType.BF16, new Shape(2));
        ones.Fill(1);
        Assert.Equal(Read(ones), Read(model.Children["layer"].Parameters["weight"].Data));
    }

    private static Tensor Bytes(params byte[] values) => Tensor.FromValues<byte>(DType.U8, new Shape(values.Length), values);

    private static byte[] Read(Tensor tensor) => LateDevice.Read(tensor);

    private static IEnumerable<Weight> Weights(params (string Name, byte[] Values)[] weights) => weights.Select(weight => new Weight(weight.Name, Bytes(weight.Values)));

    private static Task<Checkpoint> FileOf(params (string Name, byte[] Values)[] tensors)
    {
        var builder = new TestKit.SafetensorsBuilder();
        foreach (var (name, values) in tensors)
        {
            builder.Add(name, "U8", [(ulong)values.Length], values);
        }

        return Sample.Of(builder.ToBytes()).OpenAsync();
    }

    /// <summary>Turns the upper bits of weight and buffer round, in place or in a parameter of its own.</summary>
    private sealed class Inverting(bool replaces) : IQuantizeMethod
    {
        public void CreateWeights(Module layer)
        {
        }

        public void ProcessWeightsAfterLoading(Module layer, Device device)
        {
            var weight = layer.Parameters["weight"];
            if (replaces)
            {
                var made = Inverted(weight.Data);
                _ = layer.TakeParameter("weight");
                _ = layer.Register("weight", new Parameter(made));
            }
            else
            {
                weight.SetData(Inverted(weight.Data));
                using var buffer = Inverted(layer.Buffers["buffer"]);
                layer.Buffers["buffer"].CopyFrom(buffer);
            }
        }

        private static Tensor Inverted(Tensor tensor) => Bytes([.. Read(tensor).Select(value => (byte)(value ^ 0xF0))]);
    }

    private sealed class HalvesByValue : Module
    {
        public HalvesByValue() => Register("weight", new Parameter(DType.U8, new Shape(4), (parameter, weight, shard) =>
        {
            var values = weight.Materialize();
            using var half = parameter.Data.Narrow(0, shard.Part == "a" ? 0 : 2, 2);
            half.CopyFrom(values);
        }));

        public override WeightRoute Route(string name) => name is "a" or "b" ? WeightRoute.To(Parameters["weight"], new ShardId(name)) : WeightRoute.Unknown;
    }
}
