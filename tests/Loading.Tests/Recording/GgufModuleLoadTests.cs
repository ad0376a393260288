using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Parameters filled from a GGUF file: blocks are decoded, rows moved, parts taken and values changed on their way in.</summary>
public sealed class GgufModuleLoadTests
{
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    public async Task Load_RowsOfHeads_AreWhereACheckpointHasThem(int world, bool onDevice)
    {
        var sample = GgufSample.Llama();
        var expected = GgufSample.Unpermute(sample.Values("blk.0.attn_q.weight"), 2)
            .Concat(GgufSample.Unpermute(sample.Values("blk.0.attn_k.weight"), 1).Select(row => row))
            .ToArray();
        for (var rank = 0; rank < world; rank++)
        {
            RecordingSource? source = null;
            await using var checkpoint = await GgufSample.OpenAsync(source = new RecordingSource(new MemorySource(sample.Builder.ToBytes(), "sample.gguf")));
            var opened = source.BytesRead;
            Device device = onDevice ? new LateDevice() : new HostDevice();
            // Two heads of four rows, of which a rank has one; one head for keys, which both have.
            var layout = new LinearLayout(64, [new PackedPart("q", 8), new PackedPart("k", 4, world)], new TensorParallel(world, rank));
            using (var module = new Routed(
                ("qk", new Parameter(DType.F32, new Shape(layout.OutputSizePerRank, 64), WeightLoaders.Linear(layout, ParameterAxes.Weight))),
                name => name switch
                {
                    "model.layers.0.self_attn.q_proj.weight" => "q",
                    "model.layers.0.self_attn.k_proj.weight" => "k",
                    _ => null,
                }))
            {
                var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
                await new ModuleLoader().LoadAsync(plan);
                // Q4_0 has 36 bytes a row of 64, Q8_0 68: half of the query's rows on each of two ranks.
                Assert.Equal((8 / world * 36) + (4 * 68), source.BytesRead - opened);
                float[] whole = [.. (world == 1 ? expected[..8] : expected[(rank * 4)..((rank * 4) + 4)]).Concat(expected[8..]).SelectMany(row => row)];
                Assert.Equal(whole, Floats(module.Parameters["qk"].Data));
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public async Task Load_RowsOfAVector_AreMovedToo()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Routed(
            ("bias", new Parameter(DType.F64, new Shape(8))), name => name == "model.layers.0.self_attn.q_proj.bias" ? "" : null);
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(
            GgufSample.Unpermute(sample.VectorValues("blk.0.attn_q.bias"), 2).Select(value => (double)value), module.Parameters["bias"].Data.AsSpan<double>().ToArray());
    }

    [Fact]
    public async Task Load_RowsThatAreNoWholeHeads_AreReadWholeAndRight()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Routed(
            ("rows", new Parameter(DType.F32, new Shape(3, 64), (parameter, weight, _) => weight.Narrow(0, 1, 3).CopyTo(parameter.Data))),
            name => name == "model.layers.0.self_attn.q_proj.weight" ? "" : null);
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal(1, plan.ValueLoaderCount);
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal(GgufSample.Unpermute(sample.Values("blk.0.attn_q.weight"), 2)[1..4].SelectMany(row => row), Floats(module.Parameters["rows"].Data));
    }

    [Fact]
    public async Task Load_ColumnsInsideBlocks_AreDecodedFromThoseBlocksAlone()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        // 10 to 26 of two rows of an expert, across no block's end; 40 to 70 would be of blocks 1 and 2.
        using var module = new Routed(
            ("part", new Parameter(DType.F32, new Shape(2, 16), (parameter, weight, _) => weight.Narrow(1, 10, 16).CopyTo(parameter.Data))),
            name => name == "model.layers.0.block_sparse_moe.experts.1.w2.weight" ? "" : null);
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal(2 * 34, plan.Reads.BytesToRead);
        await new ModuleLoader().LoadAsync(plan);
        // Experts of [2, 32], one behind the other.
        var expert = sample.Rows("blk.0.ffn_down_exps.weight").Length == 3 ? sample.Values("blk.0.ffn_down_exps.weight")[1] : [];
        Assert.Equal([.. expert[10..26], .. expert[42..58]], Floats(module.Parameters["part"].Data));
    }

    [Fact]
    public async Task Load_TransposedBlocks_AreDecodedAndThenMoved()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Routed(
            ("turned", new Parameter(DType.BF16, new Shape(64, 6), (parameter, weight, _) => weight.Transpose(0, 1).CopyTo(parameter.Data))),
            name => name == "model.embed_tokens.weight" ? "" : null);
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        var rows = sample.Values("token_embd.weight");
        using var whole = Tensor.FromValues<float>(DType.F32, new Shape(64, 6), [.. Enumerable.Range(0, 64).SelectMany(column => rows.Select(row => row[column]))]);
        using var rounded = whole.To(DType.BF16);
        Assert.Equal(rounded.AsSpan<byte>().ToArray(), module.Parameters["turned"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Load_NormsOfGemma_AreOneLessAndRoundedOnce()
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "gemma").Add("gemma.block_count", 1u);
        sample.Add("output_norm.weight", 0, 50);
        await using var checkpoint = await sample.OpenAsync();
        Device device = new LateDevice();
        using (var module = new Routed(
            ("half", new Parameter(DType.BF16, new Shape(25), (parameter, weight, _) => weight.Narrow(0, 25, 25).CopyTo(parameter.Data))),
            name => name == "model.norm.weight" ? "" : null))
        {
            var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
            Assert.Equal((1, 100L), (plan.ValueLoaderCount, plan.ValueBytes));
            await new ModuleLoader().LoadAsync(plan);
            using var expected = Tensor.FromValues<float>(DType.F32, new Shape(25), [.. sample.VectorValues("output_norm.weight")[25..].Select(value => value - 1f)]);
            using var rounded = expected.To(DType.BF16);
            Assert.Equal(rounded.AsSpan<byte>().ToArray(), GgufSample.Read(module.Parameters["half"].Data));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Load_TiedOutput_IsReadOnceAndFillsBoth()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Routed(
            [("embed", new Parameter(DType.F16, new Shape(6, 64))), ("head", new Parameter(DType.F16, new Shape(6, 64)))],
            name => name switch
            {
                "model.embed_tokens.weight" => ("embed", ShardId.None),
                "lm_head.weight" => ("head", ShardId.None),
                _ => null,
            });
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal((1, 6 * 68L), (plan.RepeatedCount, plan.Reads.BytesToRead));
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal(module.Parameters["embed"].Data.AsSpan<byte>().ToArray(), module.Parameters["head"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Plan_TensorWithoutANameInTheMap_IsUnexpectedUnderItsOwn()
    {
        await using var checkpoint = await GgufSample.Llama().OpenAsync();
        using var module = new Module();
        var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { IsStrict = false });
        Assert.Contains("extra.tensor", plan.Unexpected);
        Assert.DoesNotContain("rope_freqs.weight", plan.Unexpected);
    }

    private static float[] Floats(Tensor tensor)
    {
        using var host = tensor.To(HostDevice.Shared);
        return host.AsSpan<float>().ToArray();
    }

    private sealed class Routed : Module
    {
        private readonly Func<string, (string Parameter, ShardId Shard)?> _route;

        public Routed((string Name, Parameter Parameter) parameter, Func<string, string?> part)
            : this([parameter], name => part(name) is { } shard ? (parameter.Name, new ShardId(shard.Length == 0 ? null : shard)) : null)
        {
        }

        public Routed(IEnumerable<(string Name, Parameter Parameter)> parameters, Func<string, (string Parameter, ShardId Shard)?> route)
        {
            _route = route;
            foreach (var (name, parameter) in parameters)
            {
                Register(name, parameter);
            }
        }

        public override WeightRoute Route(string name) =>
            _route(name) is var (parameter, shard) ? WeightRoute.To(Parameters[parameter], shard) : WeightRoute.Skip("not of this test");
    }
}
