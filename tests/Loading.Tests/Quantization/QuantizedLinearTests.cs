using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Layers of quantised checkpoints, loaded by their loaders and processed after the load, are what their numbers stand for: on every rank its share.</summary>
[Trait("Area", "Quantization")]
public sealed class QuantizedLinearTests
{
    private const int Inputs = 128;

    public static TheoryData<string, int, string> Cases()
    {
        var cases = new TheoryData<string, int, string>();
        foreach (var scheme in (string[])
            ["fp8 blocks", "fp8", "int8", "int8 with zero points", "int8 groups", "fp8 channels", "gptq", "gptq v2", "gptq 8", "gptq act-order", "gptq without g_idx", "gptq wide groups", "gptq one group"])
        {
            foreach (var world in (int[])[1, 2, 4])
            {
                foreach (var kind in (string[])["column", "packed", "row"])
                {
                    cases.Add(scheme, world, kind);
                }
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_rank_has_the_values_of_its_share(string scheme, int world, string kind)
    {
        var (config, make) = SchemeOf(scheme);
        int[] sizes = kind == "packed" ? [128, 64, 64] : [64];
        var random = new Random(world);
        var parts = sizes.Select(outputs => make(random, outputs)).ToArray();
        for (var rank = 0; rank < world; rank++)
        {
            using var layer = Layer(config, kind, world, rank);
            QuantizedLayers.Load(layer, parts);
            WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
            Assert.Equal(["weight"], layer.Parameters.Keys);
            Assert.Equal(new Shape(layer.Layout.OutputSizePerRank, layer.Layout.InputSizePerRank), layer.Parameters["weight"].Shape);
            Assert.Equal(QuantizedLayers.Expected(layer.Layout, parts), QuantizedLayers.Weight(layer));
        }

        Array.ForEach(parts, part => part.Dispose());
    }

    [Theory]
    [InlineData("fp8 blocks")]
    [InlineData("fp8")]
    [InlineData("int8")]
    [InlineData("gptq act-order")]
    public void A_layer_that_the_checkpoint_packs_is_split_as_its_parts_are(string scheme)
    {
        var (config, make) = SchemeOf(scheme);
        var random = new Random(5);
        using var all = make(random, 256);
        for (var rank = 0; rank < 2; rank++)
        {
            using var layer = Layer(config, "packed", 2, rank);
            QuantizedLayers.Load(layer, [all]);
            WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
            int[] rows = [.. Enumerable.Range(rank * 64, 64), .. Enumerable.Range(128 + (rank * 32), 32), .. Enumerable.Range(192 + (rank * 32), 32)];
            Assert.Equal(
                from output in rows from input in Enumerable.Range(0, Inputs) select StoredPart.Brain(all.Value(output, input)), QuantizedLayers.Weight(layer));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loaders_need_no_values_and_write_every_element(string scheme, int world, string kind)
    {
        var (config, make) = SchemeOf(scheme);
        int[] sizes = kind == "packed" ? [128, 64, 64] : [64];
        var parts = sizes.Select(outputs => make(new Random(1), outputs)).ToArray();
        using var layer = Layer(config, kind, world, world - 1);
        foreach (var (name, parameter) in layer.Parameters.Where(entry => parts[0].Tensors.ContainsKey(entry.Key)))
        {
            using var recorder = new MetaRecorder();
            foreach (var (index, part) in parts.Index())
            {
                var tensor = part.Tensors[name];
                using var meta = Tensor.Empty(tensor.DType, tensor.Shape, MetaDevice.Shared);
                using var weight = new Weight(name, meta);
                parameter.Load(weight, parts.Length == 1 ? default : new ShardId(layer.Layout.Parts[index].Id));
            }

            Assert.Equal(parameter.Shape.ElementCount, recorder.ElementCount);
        }

        // A layer without storage stays one.
        WeightProcessing.Run(layer, DType.BF16, MetaDevice.Shared);
        Assert.Equal((true, DType.BF16), (layer.Parameters["weight"].IsMeta, layer.Parameters["weight"].DType));
        Array.ForEach(parts, part => part.Dispose());
    }

    [Theory]
    [InlineData("fp8 blocks", "whole blocks of 16")]
    [InlineData("gptq", "whole words of 8 numbers")]
    public void A_share_that_begins_inside_what_is_stored_together_is_refused_before_the_load(string scheme, string problem)
    {
        var (config, _) = SchemeOf(scheme);
        var layout = new LinearLayout(Inputs, [new PackedPart(null, 40)], new TensorParallel(4, 1));
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new LinearLayer(layout, DType.BF16, config, QuantizedLayers.Name));
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
        Assert.Contains($"10 output features of layer '{QuantizedLayers.Name}' on each of 4 ranks", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_group_of_g_idx_that_is_not_there_is_refused()
    {
        var (config, _) = SchemeOf("gptq act-order");
        using var part = StoredPart.Gptq(new Random(1), 4, 64, Inputs, 32, 1, null);
        part.Tensors["g_idx"].AsSpan<int>()[7] = 4;
        using var layer = Layer(config, "column", 1, 0);
        QuantizedLayers.Load(layer, [part]);
        var exception = Assert.Throws<ModelMismatchException>(() => WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared));
        Assert.Contains("g_idx says group 4 for input 7, and there are 4 groups", exception.Message, StringComparison.Ordinal);
        Assert.Contains(QuantizedLayers.Name, exception.Message, StringComparison.Ordinal);
        Assert.Equal(["qweight", "qzeros", "scales", "g_idx", "bias"], layer.Parameters.Keys);
    }

    [Fact]
    public void An_order_that_the_configuration_does_not_say_is_refused_where_ranks_have_their_own_groups_only()
    {
        var (config, _) = SchemeOf("gptq");
        int[] order = [.. Enumerable.Range(0, Inputs).Select(input => 3 - (input / 32))];
        using var part = StoredPart.Gptq(new Random(1), 4, 64, Inputs, 32, 1, order);
        using var layer = Layer(config, "row", 2, 1);
        QuantizedLayers.Load(layer, [part]);
        var exception = Assert.Throws<ModelMismatchException>(() => WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared));
        Assert.Contains("says group 1 for input 64, and without act-order (desc_act) that is 2", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_is_processed_once_and_nothing_stays_beside_its_weight()
    {
        var (config, make) = SchemeOf("gptq");
        var device = new LateDevice();
        using (var part = make(new Random(2), 64))
        {
            using var layer = Layer(config, "column", 1, 0);
            QuantizedLayers.Load(layer, [part], device);
            WeightProcessing.Run(layer, DType.BF16, device);
            WeightProcessing.Run(layer, DType.BF16, device);
            Assert.Same(device, layer.Parameters["weight"].Data.Device);
            Assert.Equal((1, 64L * Inputs * 2), (device.LiveAllocations, device.LiveBytes));
            Assert.Equal(QuantizedLayers.Expected(layer.Layout, [part]), QuantizedLayers.Weight(layer));
            // The packed numbers, their companions and the result: nothing else of their size.
            Assert.True(device.PeakBytes <= (64 * Inputs * 2) + (64 * Inputs / 2) + (4 * 64 * 4) + (4 * 8 * 4) + (Inputs * 4), $"{device.PeakBytes} bytes");
        }

        Assert.Equal(0, device.LiveAllocations);
        Assert.Empty(device.Violations);
    }

    [Fact]
    public void Unquantised_weights_become_8_bits_after_the_load()
    {
        var random = new Random(9);
        ushort[] values = [.. Enumerable.Range(0, 64 * Inputs).Select(_ => StoredPart.Brain((random.NextDouble() - 0.5) * 3))];
        using var stored = Tensor.FromValues<ushort>(DType.BF16, new Shape(64, Inputs), values);
        using var layer = Layer(Fp8Config.Online(), "column", 1, 0);
        layer.Parameters["weight"].SetData(stored.To(HostDevice.Shared));
        WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
        Assert.Equal(["weight", "weight_scale"], layer.Parameters.Keys);
        var largest = values.Max(value => Math.Abs(Single(value)));
        var scale = Assert.Single(layer.Parameters["weight_scale"].Data.AsReadOnlySpan<float>().ToArray());
        Assert.Equal(largest / 448F, scale);
        var codes = layer.Parameters["weight"].Data.AsReadOnlySpan<byte>().ToArray();
        Assert.Equal(DType.F8_E4M3, layer.Parameters["weight"].DType);
        // The nearest of all numbers, by trying each.
        double[] numbers = [.. Enumerable.Range(0, 0x7F).Select(code => StoredPart.Float8((byte)code))];
        foreach (var (value, code) in values.Zip(codes))
        {
            var scaled = (double)(Single(value) * (1 / scale));
            Assert.Equal(numbers.Min(number => Math.Abs(number - Math.Abs(scaled))), Math.Abs(StoredPart.Float8(code) - scaled));
        }

        // Again, nothing is left to do.
        WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
        Assert.Equal(codes, layer.Parameters["weight"].Data.AsReadOnlySpan<byte>().ToArray());

        static float Single(ushort brain) => BitConverter.Int32BitsToSingle(brain << 16);
    }

    [Theory]
    [InlineData(0, 1 / (448F * 512F))]
    [InlineData(0x3F80, 1 / 448F)]
    public void Weights_of_one_value_have_a_scale_that_is_not_too_small(ushort value, float expected)
    {
        using var layer = Layer(Fp8Config.Online(), "column", 1, 0);
        var data = Tensor.Empty(DType.BF16, layer.Parameters["weight"].Shape);
        data.AsSpan<ushort>().Fill(value);
        layer.Parameters["weight"].SetData(data);
        WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
        Assert.Equal(expected, layer.Parameters["weight_scale"].Data.AsReadOnlySpan<float>()[0]);
    }

    [Fact]
    public void Weights_that_are_no_numbers_have_no_scale()
    {
        using var layer = Layer(Fp8Config.Online(), "column", 1, 0);
        var data = Tensor.Empty(DType.BF16, layer.Parameters["weight"].Shape);
        data.AsSpan<ushort>().Fill(0x3F80);
        (data.AsSpan<ushort>()[3], data.AsSpan<ushort>()[9]) = (0x7F80, 0x7FC0);
        layer.Parameters["weight"].SetData(data);
        var exception = Assert.Throws<ModelMismatchException>(() => WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared));
        Assert.Contains($"2 values of the weight of layer '{QuantizedLayers.Name}' are NaN or infinite", exception.Message, StringComparison.Ordinal);
    }

    internal static LinearLayer Layer(QuantizationConfig config, string kind, int world, int rank)
    {
        // With four ranks two of them share each of two key and value heads.
        var replicas = world == 4 ? 2 : 1;
        ImmutableArray<PackedPart> parts = kind == "packed" ? [new("q", 128), new("k", 64, replicas), new("v", 64, replicas)] : [new PackedPart(null, 64)];
        return new LinearLayer(new LinearLayout(Inputs, parts, new TensorParallel(world, rank), kind == "row"), DType.BF16, config, QuantizedLayers.Name);
    }

    internal static (QuantizationConfig Config, Func<Random, int, StoredPart> Make) SchemeOf(string scheme)
    {
        return scheme switch
        {
            "fp8 blocks" => (
                QuantizedLayers.Config("""{ "quant_method": "fp8", "weight_block_size": [16, 32], "activation_scheme": "dynamic" }"""),
                (random, outputs) => StoredPart.Fp8Blocks(random, outputs, Inputs, 16, 32)),
            "fp8" => (
                QuantizedLayers.Config("""{ "quant_method": "fp8", "activation_scheme": "static" }"""), (random, outputs) => StoredPart.Fp8(random, outputs, Inputs)),
            "int8" => (Compressed("int", "channel", true, null), (random, outputs) => StoredPart.Int8(random, outputs, Inputs, false)),
            "int8 with zero points" => (Compressed("int", "channel", false, null), (random, outputs) => StoredPart.Int8(random, outputs, Inputs, true)),
            "int8 groups" => (Compressed("int", "group", true, 32), (random, outputs) => StoredPart.Int8(random, outputs, Inputs, false, 32)),
            "fp8 channels" => (Compressed("float", "channel", true, null), (random, outputs) => StoredPart.Fp8Blocks(random, outputs, Inputs, 1, Inputs, "weight_scale")),
            "gptq" => (Gptq(4, 32, false), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, 32, 1, null)),
            "gptq v2" => (Gptq(4, 32, false, "gptq_v2"), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, 32, 0, null)),
            "gptq 8" => (Gptq(8, 32, false), (random, outputs) => StoredPart.Gptq(random, 8, outputs, Inputs, 32, 1, null)),
            // Each part has an order of its own.
            "gptq act-order" => (Gptq(4, 32, true), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, 32, 1, Order(random))),
            "gptq without g_idx" => (Gptq(4, 64, false), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, 64, 1, null, false)),
            // A rank's share of the inputs begins inside a group.
            "gptq wide groups" => (Gptq(4, 96, false), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, 96, 1, null)),
            _ => (Gptq(4, -1, false), (random, outputs) => StoredPart.Gptq(random, 4, outputs, Inputs, Inputs, 1, null)),
        };

        static int[] Order(Random random)
        {
            var order = Enumerable.Range(0, Inputs).Select(input => input / 32).ToArray();
            random.Shuffle(order);
            return order;
        }

        static QuantizationConfig Gptq(int bits, int groupSize, bool hasOrder, string format = "gptq") => QuantizedLayers.Config(
            $$"""{ "quant_method": "gptq", "bits": {{bits}}, "group_size": {{groupSize}}, "desc_act": {{(hasOrder ? "true" : "false")}}, "sym": false, "checkpoint_format": "{{format}}" }""");

        static QuantizationConfig Compressed(string type, string strategy, bool symmetric, int? groupSize) => QuantizedLayers.Config(
            $$"""
            {
              "quant_method": "compressed-tensors", "format": "{{type}}-quantized", "ignore": ["lm_head"],
              "config_groups": { "group_0": { "targets": ["Linear"], "input_activations": null, "weights": {
                "num_bits": 8, "type": "{{type}}", "strategy": "{{strategy}}", "symmetric": {{(symmetric ? "true" : "false")}}, "group_size": {{groupSize?.ToString() ?? "null"}}, "dynamic": false } } }
            }
            """);
    }
}
