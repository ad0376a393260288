using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What comes back alone comes back together too: on any number of ranks, quantised, in parts, with ties and padding.</summary>
[Trait("Area", "ShardedState")]
public sealed class StateCombinationTests
{
    [Theory]
    [InlineData(12, 6, 36, 3, false)]
    [InlineData(12, 6, 36, 3, true)]
    [InlineData(12, 6, 36, 6, true)]
    [InlineData(35, 35, 70, 5, false)]
    [InlineData(35, 35, 70, 5, true)]
    [InlineData(35, 35, 70, 7, true)]
    public async Task Any_number_of_ranks_of_a_model_comes_back(int heads, int keyValueHeads, int wide, int world, bool isTied)
    {
        using var folder = new TemporaryFolder();
        var (sample, config) = RanksSample.LlamaOf(heads, keyValueHeads, wide, isTied);
        await using var checkpoint = await sample.OpenAsync();
        var models = Enumerable.Range(0, world).Select(rank => ModelInitializer.Initialize(ModelSample.Context(config, world, rank))).ToArray();
        foreach (var (rank, model) in models.Index())
        {
            _ = await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint));
            var saved = await StateSample.Loader.SaveModelAsync(
                model, folder["out"], new ShardedStateSaveOptions { Parallel = new TensorParallel(world, rank), SaveId = "s", MaximumPartBytes = 3_000 });
            Assert.True(saved.Files.Length > 1);
        }

        foreach (var (rank, model) in models.Index())
        {
            using var fresh = ModelInitializer.Initialize(ModelSample.Context(config, world, rank));
            var loaded = await StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(world, rank));
            Assert.True(loaded.IsVerified);
            Assert.Empty(loaded.Warnings);
            StateSample.AssertSame(model, fresh);
            model.Dispose();
        }
    }

    [Theory]
    [InlineData("gptq", 1, false)]
    [InlineData("gptq", 2, false)]
    [InlineData("gptq", 2, true)]
    [InlineData("gptq", 4, true)]
    [InlineData("fp8 blocks", 1, true)]
    [InlineData("int8 with zero points", 2, false)]
    [InlineData("int8 with zero points", 4, true)]
    public async Task Quantised_weights_in_parts_with_ties_views_and_padding_come_back(string scheme, int world, bool isProcessed)
    {
        using var folder = new TemporaryFolder();
        var (config, make) = QuantizedLinearTests.SchemeOf(scheme);
        StoredPart[] parts = [.. ((int[])[128, 64, 64]).Select(outputs => make(new Random(world), outputs))];
        var models = Enumerable.Range(0, world).Select(rank => Make(config, world, rank, rank)).ToArray();
        foreach (var (rank, model) in models.Index())
        {
            QuantizedLayers.Load((LinearLayer)model.Children["linear"], parts);
            if (isProcessed)
            {
                WeightProcessing.Run(model, DType.BF16, HostDevice.Shared);
            }

            var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions
            {
                Parallel = new TensorParallel(world, rank),
                SaveId = "one",
                IsProcessed = isProcessed,
                ModelDType = DType.BF16,
                MaximumPartBytes = 500,
            });
            Assert.True(saved.Files.Length > 1);
            Assert.Equal(2, saved.RestoredCount);
        }

        foreach (var (rank, model) in models.Index())
        {
            using var fresh = Make(config, world, rank, null);
            var loaded = await StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(world, rank), new ShardedStateLoadOptions { IsProcessed = isProcessed });
            Assert.True(loaded.IsVerified);
            Assert.Empty(loaded.Warnings);
            StateSample.AssertSame(model, fresh);
            Assert.Same(fresh.Children["embed"].Parameters["weight"].Data.Memory, fresh.Parameters["head"].Data.Memory);
            Assert.Same(fresh.Children["embed"].Parameters["weight"].Data.Memory, fresh.Parameters["rows"].Data.Memory);
            Assert.Equal(32, fresh.Parameters["rows"].Data.ByteOffset - fresh.Parameters["head"].Data.ByteOffset);
            model.Dispose();
        }

        Array.ForEach(parts, part => part.Dispose());
    }

    // A padded embedding that a head is tied to, a part of it, and a quantised layer; with values of the embedding or without.
    private static Module Make(QuantizationConfig config, int world, int rank, int? seed)
    {
        var model = new Module();
        _ = model.Register("linear", QuantizedLinearTests.Layer(config, "packed", world, rank));
        var embedding = model.Register("embed", new VocabularyEmbedding(131, 8, new LayerOptions(DType.BF16, new TensorParallel(world, rank)))).Parameters["weight"];
        if (seed is { } number)
        {
            var values = StateSample.Random(number, DType.BF16, [.. embedding.Shape]);
            // What is padded is 0 on the last ranks.
            var own = Math.Clamp(131 - (rank * embedding.Shape[0]), 0, embedding.Shape[0]);
            values.AsSpan<byte>()[(int)(own * 16)..].Clear();
            embedding.SetData(values);
        }

        _ = model.Register("head", new Parameter(embedding.Data.On(embedding.Data.Device)));
        _ = model.Register("rows", new Parameter(embedding.Data.Narrow(0, 2, 5)));
        return model;
    }
}
