using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Quantised layers as they are processed and as they are stored, against values that are computed from the stored numbers.</summary>
[Trait("Area", "ShardedState")]
public sealed class ReshardedLayersTests
{
    private const int Inputs = 128;

    public static TheoryData<string, int, int> Cases()
    {
        var cases = new TheoryData<string, int, int>();
        foreach (var kind in (string[])["packed", "column", "row"])
        {
            foreach (var (from, to) in ((int, int)[])[(1, 2), (1, 4), (2, 1), (2, 4), (4, 1), (4, 2), (4, 4)])
            {
                cases.Add(kind, from, to);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Processed_weights_are_split_anew(string kind, int from, int to)
    {
        var parts = Parts(kind);
        var saved = new List<Dictionary<string, byte[]>>();
        for (var rank = 0; rank < from; rank++)
        {
            using var model = Model(kind, from, rank);
            var layer = (LinearLayer)model.Children["layer"];
            QuantizedLayers.Load(layer, parts);
            WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
            saved.Add(ReshardRun.BytesOf(model));
        }

        for (var rank = 0; rank < to; rank++)
        {
            var run = new ReshardRun(saved, one => Processed(kind, from, one));
            using var model = Processed(kind, to, rank);
            await run.ReshardAsync(model);
            var layer = (LinearLayer)model.Children["layer"];
            Assert.Equal(["weight"], layer.Parameters.Keys);
            Assert.Equal(QuantizedLayers.Expected(layer.Layout, parts), QuantizedLayers.Weight(layer));
        }

        Array.ForEach(parts, part => part.Dispose());
    }

    [Theory]
    [InlineData("packed")]
    [InlineData("column")]
    public async Task Stored_numbers_are_split_anew_and_processed_afterwards(string kind)
    {
        var parts = Parts(kind);
        var saved = Stored(kind, parts, 2);
        for (var rank = 0; rank < 4; rank++)
        {
            var run = new ReshardRun(saved, one => Model(kind, 2, one));
            using var model = Model(kind, 4, rank);
            await run.ReshardAsync(model);
            var layer = (LinearLayer)model.Children["layer"];
            // The bias that nothing has filled stays without storage.
            Assert.True(layer.Parameters["bias"].IsMeta);
            WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
            Assert.Equal(QuantizedLayers.Expected(layer.Layout, parts), QuantizedLayers.Weight(layer));
        }

        Array.ForEach(parts, part => part.Dispose());
    }

    [Fact]
    public async Task Stored_numbers_whose_split_is_not_known_are_refused_where_the_state_has_them()
    {
        var parts = Parts("row");
        var run = new ReshardRun(Stored("row", parts, 2), one => Model("row", 2, one));
        using var model = Model("row", 4, 1);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal(
            "it is not known how 'layer.g_idx' is split: its loader does not say, and rank 0 has the shape [64], and the model [32]",
            Assert.Single(exception.Problems));
        Assert.Contains("as many ranks", exception.Message, StringComparison.Ordinal);
        Assert.All(model.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
        Assert.Equal(0, run.Device.LiveAllocations);
        Array.ForEach(parts, part => part.Dispose());
    }

    [Fact]
    public async Task Bits_that_each_rank_has_scaled_by_itself_are_refused()
    {
        var saved = new List<Dictionary<string, byte[]>>();
        for (var rank = 0; rank < 2; rank++)
        {
            using var model = Online(2, rank);
            var data = Tensor.Empty(DType.BF16, new Shape(32, Inputs));
            data.Fill(rank + 1);
            ((LinearLayer)model.Children["layer"]).Parameters["weight"].SetData(data);
            WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
            saved.Add(ReshardRun.BytesOf(model));
        }

        var run = new ReshardRun(saved, rank => Process(Online(2, rank)));
        using var one = Process(Online(1, 0));
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(one));
        Assert.Equal(
            "it is not known how 'layer.weight_scale' is split: its loader does not say, and ranks 0 and 1 have other values", Assert.Single(exception.Problems));
        Assert.Equal(0, run.Device.LiveAllocations);
        Assert.All(one.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
    }

    private static List<Dictionary<string, byte[]>> Stored(string kind, StoredPart[] parts, int world)
    {
        var saved = new List<Dictionary<string, byte[]>>();
        for (var rank = 0; rank < world; rank++)
        {
            using var model = Model(kind, world, rank);
            QuantizedLayers.Load((LinearLayer)model.Children["layer"], parts);
            saved.Add(ReshardRun.BytesOf(model));
        }

        return saved;
    }

    private static StoredPart[] Parts(string kind)
    {
        var random = new Random(11);
        int[] sizes = kind == "packed" ? [128, 64, 64] : [64];
        return [.. sizes.Select(outputs => StoredPart.Gptq(random, 4, outputs, Inputs, 32, 1, null))];
    }

    private static Module Processed(string kind, int world, int rank) => Process(Model(kind, world, rank));

    private static Module Process(Module model)
    {
        WeightProcessing.Run(model, DType.BF16, MetaDevice.Shared);
        return model;
    }

    private static Module Model(string kind, int world, int rank)
    {
        var config = QuantizedLayers.Config("""{ "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false, "sym": false, "checkpoint_format": "gptq" }""");
        // With four ranks two of them share each of two key and value heads.
        var replicas = world == 4 ? 2 : 1;
        ImmutableArray<PackedPart> parts = kind == "packed" ? [new("q", 128), new("k", 64, replicas), new("v", 64, replicas)] : [new PackedPart(null, 64)];
        return Of(new LinearLayer(new LinearLayout(Inputs, parts, new TensorParallel(world, rank), kind == "row"), DType.BF16, config, QuantizedLayers.Name));
    }

    private static Module Online(int world, int rank) =>
        Of(new LinearLayer(new LinearLayout(Inputs, [new PackedPart(null, 64)], new TensorParallel(world, rank)), DType.BF16, Fp8Config.Online(), QuantizedLayers.Name));

    private static Module Of(LinearLayer layer)
    {
        var model = new Module();
        model.Register("layer", layer);
        return model;
    }
}
