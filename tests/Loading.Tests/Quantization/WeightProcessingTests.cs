using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Who processes weights after a load, when, and where the weights are meanwhile.</summary>
[Trait("Area", "Quantization")]
public sealed class WeightProcessingTests
{
    [Fact]
    public void Cross_attention_comes_first_and_alone_then_methods_in_order_and_attention_last()
    {
        var log = new List<string>();
        using var model = new Module { QuantizeMethod = new Noting(log, "model") };
        var layer = model.Register("layer", new Module());
        _ = layer.Register("attention", new Attention(log, "attention") { QuantizeMethod = new Noting(log, "method of attention") });
        _ = layer.Register("first", new Module { QuantizeMethod = new Noting(log, "first") });
        var cross = layer.Register("cross", new Cross(log, "cross") { QuantizeMethod = new Noting(log, "method of cross") });
        _ = cross.Register("below", new Module { QuantizeMethod = new Noting(log, "below cross") });
        _ = model.Register("last", new Module { QuantizeMethod = new Noting(log, "last") });
        _ = model.Register("plain", new Module());
        WeightProcessing.Run(model, DType.F16, HostDevice.Shared);
        Assert.Equal(["cross", "model", "method of attention", "first", "below cross", "last", "attention in F16"], log);
    }

    [Fact]
    public void A_module_at_two_places_is_processed_once()
    {
        var log = new List<string>();
        using var model = new Module();
        var shared = model.Register("one", new Module { QuantizeMethod = new Noting(log, "shared") });
        _ = model.Register("two", shared);
        WeightProcessing.Run(model, DType.F16, HostDevice.Shared);
        Assert.Equal(["shared"], log);
    }

    [Fact]
    public void Methods_see_their_modules_parameters_on_the_device_and_leave_them_where_they_were()
    {
        var device = new LateDevice();
        using var model = new Module();
        using var before = Tensor.Empty(DType.U8, new Shape(4), device);
        var seen = new List<string>();
        var layer = model.Register("layer", new Module());
        _ = layer.Register("offloaded", new Parameter(Tensor.Empty(DType.U8, new Shape(4))));
        _ = layer.Register("there", new Parameter(before.To(device)));
        _ = model.Register("other", new Parameter(Tensor.Empty(DType.U8, new Shape(4))));
        layer.QuantizeMethod = new Working((module, target) =>
        {
            Assert.Same(device, target);
            seen.AddRange(module.Parameters.Select(entry => $"{entry.Key} {entry.Value.Data.Device}"));
            Assert.True(model.Parameters["other"].Data.Device.IsHost);
        });
        WeightProcessing.Run(model, DType.F16, device);
        Assert.Equal(["offloaded late:0", "there late:0"], seen);
        Assert.Equal(["host", "late:0"], layer.Parameters.Values.Select(parameter => parameter.Data.Device.Id));
    }

    [Fact]
    public void A_method_that_fails_leaves_its_parameters_where_they_were_and_ends_it()
    {
        var device = new LateDevice();
        var log = new List<string>();
        using var model = new Module();
        var layer = model.Register("layer", new Module { QuantizeMethod = new Working((_, _) => throw new InvalidOperationException("It failed.")) });
        _ = layer.Register("weight", new Parameter(Tensor.FromValues<byte>(DType.U8, new Shape(3), [1, 2, 3])));
        _ = model.Register("after", new Attention(log, "after") { QuantizeMethod = new Noting(log, "method") });
        Assert.Equal("It failed.", Assert.Throws<InvalidOperationException>(() => WeightProcessing.Run(model, DType.F16, device)).Message);
        Assert.Empty(log);
        Assert.Equal([1, 2, 3], layer.Parameters["weight"].Data.AsReadOnlySpan<byte>().ToArray());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void It_is_cancelled_between_two_modules()
    {
        using var cancellation = new CancellationTokenSource();
        var log = new List<string>();
        using var model = new Module();
        _ = model.Register("first", new Module { QuantizeMethod = new Working((_, _) => cancellation.Cancel()) });
        _ = model.Register("second", new Module { QuantizeMethod = new Noting(log, "second") });
        Assert.Throws<OperationCanceledException>(() => WeightProcessing.Run(model, DType.F16, HostDevice.Shared, cancellation.Token));
        Assert.Empty(log);
    }

    [Fact]
    public void A_quantised_layer_is_dequantised_on_the_device_and_goes_back_to_the_host()
    {
        var device = new LateDevice();
        using var part = StoredPart.Gptq(new Random(3), 4, 16, 64, 32, 1, null);
        var config = QuantizedLayers.Config("""{ "quant_method": "gptq", "bits": 4, "group_size": 32 }""");
        using var layer = new LinearLayer(new LinearLayout(64, [new PackedPart(null, 16)]), DType.BF16, config, QuantizedLayers.Name, hasBias: true);
        using var bias = Tensor.FromValues<ushort>(DType.BF16, new Shape(16), new ushort[16]);
        part.Tensors.Add("bias", bias);
        QuantizedLayers.Load(layer, [part]);
        _ = part.Tensors.Remove("bias");
        WeightProcessing.Run(layer, DType.BF16, device);
        // The weight is new, and stays where it was made.
        Assert.Equal([("bias", "host"), ("weight", "late:0")], layer.Parameters.Select(entry => (entry.Key, entry.Value.Data.Device.Id)));
        Assert.Equal(QuantizedLayers.Expected(layer.Layout, [part]), QuantizedLayers.Weight(layer));
        Assert.Empty(device.Violations);
    }

    private sealed class Noting(List<string> log, string name) : IQuantizeMethod
    {
        public void CreateWeights(Module layer) => throw new InvalidOperationException("Nothing is made here.");

        public void ProcessWeightsAfterLoading(Module layer, Device device) => log.Add(name);
    }

    private sealed class Working(Action<Module, Device> work) : IQuantizeMethod
    {
        public void CreateWeights(Module layer) => throw new InvalidOperationException("Nothing is made here.");

        public void ProcessWeightsAfterLoading(Module layer, Device device) => work(layer, device);
    }

    private sealed class Cross(List<string> log, string name) : Module, ICrossAttentionProjection
    {
        public void ProcessWeightsAfterLoading() => log.Add(name);
    }

    private sealed class Attention(List<string> log, string name) : Module, IAttention
    {
        public void ProcessWeightsAfterLoading(DType dtype) => log.Add($"{name} in {dtype.Name}");
    }
}
