using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What is saved comes back bit for bit, and lies in memory as it did.</summary>
public sealed class StateRoundTripTests
{
    private static readonly string[] Schemes =
    [
        "fp8 blocks", "fp8", "int8", "int8 with zero points", "int8 groups", "fp8 channels", "gptq", "gptq v2", "gptq 8", "gptq act-order", "gptq without g_idx", "gptq wide groups", "gptq one group",
    ];

    public static TheoryData<string, bool> Layouts()
    {
        var layouts = new TheoryData<string, bool>();
        foreach (var scheme in Schemes)
        {
            layouts.Add(scheme, true);
            layouts.Add(scheme, false);
        }

        return layouts;
    }

    [Fact]
    public async Task Every_dtype_comes_back()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(DType.All.Select((dtype, i) => ($"t.{dtype.Name}", StateSample.Random(i, dtype, 3, dtype.BlockLength * 2))));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = 700 });
        Assert.True(saved.Files.Length > 3);
        using var fresh = StateSample.Fresh(model);
        var loaded = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        Assert.True(loaded.IsVerified);
        Assert.Empty(loaded.Warnings);
        Assert.Equal(DType.All.Length, loaded.TensorCount);
        StateSample.AssertSame(model, fresh);
        await using var state = await StateSample.Loader.OpenAsync(folder["out"], 0);
        using var alone = await state.LoadTensorsAsync();
        Assert.All(model.NamedState(), entry =>
        {
            Assert.Equal((entry.Tensor.DType, entry.Tensor.Shape), (alone[entry.Name].DType, alone[entry.Name].Shape));
            Assert.Equal(StateSample.Bytes(entry.Tensor), StateSample.Bytes(alone[entry.Name]));
            Assert.Equal((entry.Tensor.DType, entry.Tensor.Shape), (state.Find(entry.Name)!.DType, state.Find(entry.Name)!.Shape));
            Assert.Equal(entry.Tensor.Strides.AsEnumerable(), state.Find(entry.Name)!.Strides);
        });
    }

    [Fact]
    public async Task Types_that_safetensors_has_no_name_for_are_bytes_in_the_file()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("q", StateSample.Random(1, DType.Q4_0, 2, 64)), ("c", StateSample.Random(2, DType.C128, 3)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        await using var file = await Checkpoint.OpenAsync(folder["out/model-rank-0-part-0.safetensors"]);
        Assert.Equal([("c", DType.U8, new Shape(48)), ("q", DType.U8, new Shape(72))], file.Tensors.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape)));
    }

    [Fact]
    public async Task Views_strides_and_ties_share_memory_again()
    {
        using var folder = new TemporaryFolder();
        var whole = StateSample.Random(1, DType.F32, 6, 4);
        using var expanded = new Tensor(whole.Memory, DType.F32, new Shape(3, 4), [0, 1], 32);
        using var model = StateSample.Model(
            ("turned", Turned(StateSample.Random(2, DType.F16, 4, 6))),
            ("z", whole),
            ("tied", whole.On(whole.Device)),
            ("rows", whole.Narrow(0, 2, 2)),
            ("turn", whole.Transpose(0, 1)),
            ("bytes", new Tensor(whole.Memory, DType.U8, new Shape(96))),
            ("spread", expanded.On(expanded.Device)));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = 1 });
        Assert.Equal((2, 5), (saved.TensorCount, saved.RestoredCount));
        await using var state = await StateSample.Loader.OpenAsync(folder["out"], 0);
        using var tensors = await state.LoadTensorsAsync();
        foreach (var (name, tensor) in model.NamedState())
        {
            Assert.Equal(StateSample.Bytes(tensor), StateSample.Bytes(tensors[name]));
            Assert.Equal(tensor.Strides.AsEnumerable(), tensors[name].Strides);
            Assert.Equal(tensor.DType, tensors[name].DType);
        }

        Assert.Single(tensors.Where(entry => entry.Key != "turned").Select(entry => entry.Value.Memory).Distinct());
        Assert.Equal(32, tensors["rows"].ByteOffset - tensors["z"].ByteOffset);
        Assert.Equal("bytes", state.Find("z")!.StoredIn);
        using var some = await state.LoadTensorsAsync(["rows"]);
        Assert.Equal(StateSample.Bytes(tensors["rows"]), StateSample.Bytes(Assert.Single(some).Value));

        using var fresh = StateSample.Outline(model);
        var loaded = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        Assert.Equal(2, loaded.TensorCount);
        StateSample.AssertSame(model, fresh);
        Assert.Single(fresh.NamedState().Where(entry => entry.Name != "turned").Select(entry => entry.Tensor.Memory).Distinct());
        Assert.Same(fresh.Parameters["z"].Data.Memory, fresh.Parameters["turn"].Data.Memory);
        Assert.Equal([1, 6], fresh.Parameters["turned"].Data.Strides.AsEnumerable());
    }

    [Fact]
    public async Task Partial_overlap_and_windows_share_memory_again()
    {
        using var folder = new TemporaryFolder();
        var memory = StateSample.Random(3, DType.F32, 64);
        using var model = StateSample.Model(
            ("left", memory.Narrow(0, 10, 20)),
            ("right", memory.Narrow(0, 20, 20)),
            ("windows", new Tensor(memory.Memory, DType.F32, new Shape(4, 3), [1, 2], 200)));
        memory.Dispose();
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = 100 });
        Assert.Equal((3, 0, 3), (saved.TensorCount, saved.RestoredCount, saved.Files.Length));
        using var fresh = StateSample.Outline(model);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        StateSample.AssertSame(model, fresh);
        Assert.Same(fresh.Parameters["left"].Data.Memory, fresh.Parameters["right"].Data.Memory);
        Assert.Equal(40, fresh.Parameters["right"].Data.ByteOffset - fresh.Parameters["left"].Data.ByteOffset);
        Assert.Equal([1, 2], fresh.Parameters["windows"].Data.Strides.AsEnumerable());
    }

    [Fact]
    public async Task Exact_ties_are_recorded_as_other_readers_of_this_library_know_them()
    {
        using var folder = new TemporaryFolder();
        var weight = StateSample.Random(1, DType.BF16, 4, 2);
        using var model = StateSample.Model(("model.embed", weight), ("lm_head", weight.On(weight.Device)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        await using var file = await Checkpoint.OpenAsync(folder["out/model-rank-0-part-0.safetensors"]);
        Assert.Equal("lm_head", file["model.embed"].TiedTo);
        Assert.Null(file["lm_head"].TiedTo);
        using var fresh = StateSample.Outline(model);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        Assert.Same(fresh.NamedParameters().First().Parameter.Data.Memory, fresh.NamedParameters().Last().Parameter.Data.Memory);
        StateSample.AssertSame(model, fresh);
    }

    [Fact]
    public async Task A_parameter_under_two_names_is_filled_under_the_smaller_one()
    {
        using var folder = new TemporaryFolder();
        using var model = Tied(StateSample.Random(1, DType.F32, 3));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        using var fresh = Tied(Tensor.Empty(DType.F32, new Shape(3), MetaDevice.Shared));
        Assert.Equal(1, (await StateSample.Loader.LoadAsync(fresh, folder["out"])).TensorCount);
        StateSample.AssertSame(model, fresh);

        static Module Tied(Tensor tensor)
        {
            var module = new Module();
            var parameter = new Parameter(tensor);
            _ = module.Register("z", parameter);
            _ = module.Register("a", new Module()).Register("z", parameter);
            return module;
        }
    }

    [Fact]
    public async Task Views_of_a_new_model_come_from_what_it_shares()
    {
        // As vLLM writes it: the covered tensor is in no file, and nothing says where it was.
        using var folder = new TemporaryFolder();
        var bytes = new byte[48];
        new Random(4).NextBytes(bytes);
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("whole", DType.F32, [3, 4], bytes));
        var whole = Tensor.Empty(DType.F32, new Shape(3, 4), MetaDevice.Shared);
        using var fresh = StateSample.Model(("part", whole.Narrow(0, 1, 1)), ("whole", whole));
        _ = await StateSample.Loader.LoadAsync(fresh, folder.Path);
        Assert.Equal(bytes[16..32], StateSample.Bytes(fresh.Parameters["part"].Data));
        Assert.Same(fresh.Parameters["whole"].Data.Memory, fresh.Parameters["part"].Data.Memory);
    }

    [Fact]
    public async Task Buffers_are_state_and_optional_parameters_that_nothing_filled_are_not()
    {
        using var folder = new TemporaryFolder();
        using var model = Make(StateSample.Random(1, DType.F32, 3), StateSample.Random(2, DType.I64, 2));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        Assert.Equal(["buffer", "weight"], await StateSample.NamesAsync(folder["out/model-rank-0-part-0.safetensors"]));
        using var fresh = Make(Meta(DType.F32, 3), Meta(DType.I64, 2));
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        Assert.Equal(StateSample.Bytes(model.Buffers["buffer"]), StateSample.Bytes(fresh.Buffers["buffer"]));
        Assert.True(fresh.Parameters["optional"].IsMeta);
        // What has no elements needs no file.
        Assert.False(fresh.Parameters["empty"].IsMeta);

        static Tensor Meta(DType dtype, long size) => Tensor.Empty(dtype, new Shape(size), MetaDevice.Shared);

        static Module Make(Tensor weight, Tensor buffer)
        {
            var module = new Module();
            _ = module.Register("weight", new Parameter(weight));
            _ = module.Register("optional", new Parameter(DType.F32, new Shape(5)) { IsRequired = false });
            _ = module.Register("empty", new Parameter(DType.F32, new Shape(0, 7)));
            _ = module.Register("buffer", buffer);
            return module;
        }
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public async Task Quantised_layers_come_back_before_and_after_processing(string scheme, bool isProcessed)
    {
        var (config, make) = QuantizedLinearTests.SchemeOf(scheme);
        foreach (var (world, kind) in ((int, string)[])[(1, "packed"), (2, "row")])
        {
            using var folder = new TemporaryFolder();
            var parts = (kind == "packed" ? [128, 64, 64] : (int[])[64]).Select(outputs => make(new Random(world), outputs)).ToArray();
            var layers = Enumerable.Range(0, world).Select(rank => QuantizedLinearTests.Layer(config, kind, world, rank)).ToArray();
            foreach (var (rank, layer) in layers.Index())
            {
                QuantizedLayers.Load(layer, parts);
                if (isProcessed)
                {
                    WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
                }

                _ = await StateSample.Loader.SaveModelAsync(layer, folder["out"], new ShardedStateSaveOptions
                {
                    Parallel = new TensorParallel(world, rank),
                    SaveId = "one",
                    IsProcessed = isProcessed,
                    ModelDType = DType.BF16,
                });
            }

            foreach (var (rank, layer) in layers.Index())
            {
                using var fresh = QuantizedLinearTests.Layer(config, kind, world, rank);
                var loaded = await StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(world, rank));
                Assert.True(loaded.IsVerified);
                Assert.Equal(layer.Parameters.Keys, fresh.Parameters.Keys);
                foreach (var (name, parameter) in layer.Parameters)
                {
                    Assert.Equal((parameter.IsMeta, parameter.DType, parameter.Shape), (fresh.Parameters[name].IsMeta, fresh.Parameters[name].DType, fresh.Parameters[name].Shape));
                    Assert.True(parameter.IsMeta || StateSample.Bytes(parameter.Data).AsSpan().SequenceEqual(StateSample.Bytes(fresh.Parameters[name].Data)), name);
                }

                if (!isProcessed)
                {
                    WeightProcessing.Run(fresh, DType.BF16, HostDevice.Shared);
                    Assert.Equal(QuantizedLayers.Expected(fresh.Layout, parts), QuantizedLayers.Weight(fresh));
                }

                layer.Dispose();
            }

            Array.ForEach(parts, part => part.Dispose());
        }
    }

    [Fact]
    public async Task Weights_that_became_8_bits_after_the_load_come_back_with_their_scale()
    {
        using var folder = new TemporaryFolder();
        using var layer = QuantizedLinearTests.Layer(Fp8Config.Online(), "packed", 1, 0);
        var values = Tensor.Empty(DType.BF16, layer.Parameters["weight"].Shape);
        values.FillUniform(3, -1, 1);
        layer.Parameters["weight"].SetData(values);
        WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
        _ = await StateSample.Loader.SaveModelAsync(layer, folder["out"], new ShardedStateSaveOptions { IsProcessed = true, ModelDType = DType.BF16 });
        using var fresh = QuantizedLinearTests.Layer(Fp8Config.Online(), "packed", 1, 0);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        Assert.Equal(["weight", "weight_scale"], fresh.Parameters.Keys);
        StateSample.AssertSame(layer, fresh);
    }

    [Fact]
    public async Task Ranks_that_save_at_once_make_one_folder()
    {
        using var folder = new TemporaryFolder();
        var models = Enumerable.Range(0, 4).Select(rank => StateSample.Model(Enumerable.Range(0, 6).Select(i => ($"t{i}", StateSample.Random((rank * 10) + i, DType.F32, 50))))).ToArray();
        var saves = await Task.WhenAll(models.Select((model, rank) => Task.Run(() => StateSample.Loader.SaveModelAsync(
            model, folder["out"], new ShardedStateSaveOptions { Parallel = new TensorParallel(4, rank), SaveId = "at-once", MaximumPartBytes = 400 }))));
        Assert.Contains(saves, saved => saved.IsComplete);
        Assert.Equal(4, (await RankManifest.ReadFolderAsync(folder["out"])).Length);
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
        foreach (var (rank, model) in models.Index())
        {
            using var fresh = StateSample.Fresh(model);
            _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(4, rank));
            StateSample.AssertSame(model, fresh);
            model.Dispose();
        }
    }

    [Theory]
    [InlineData("LlamaForCausalLM")]
    [InlineData("GemmaForCausalLM")]
    public async Task One_to_eight_ranks_of_a_model_come_back(string architecture)
    {
        using var folder = new TemporaryFolder();
        await using var checkpoint = await RanksSample.OpenAsync(architecture, "safetensors", folder);
        var config = ModelSample.Config(
            architecture,
            $$"""
            "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 352, "vocab_size": 100, "attention_bias": true,
            "head_dim": {{RanksSample.HeadSizeOf(architecture)}}, "tie_word_embeddings": {{(architecture == "GemmaForCausalLM" ? "true" : "false")}}
            """);
        foreach (var world in (int[])[1, 2, 4, 8])
        {
            var output = folder[$"tp{world}"];
            var models = Enumerable.Range(0, world).Select(rank => ModelInitializer.Initialize(ModelSample.Context(config, world, rank))).ToArray();
            foreach (var (rank, model) in models.Index())
            {
                _ = await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint));
                var saved = await StateSample.Loader.SaveModelAsync(
                    model, output, new ShardedStateSaveOptions { Parallel = new TensorParallel(world, rank), SaveId = "a.b-c_1", MaximumPartBytes = 200_000 });
                Assert.Equal(rank == world - 1, saved.IsComplete);
                Assert.Equal(Enumerable.Range(rank + 1, world - rank - 1), saved.MissingRanks);
                Assert.Equal(rank == world - 1, Directory.Exists(output));
            }

            foreach (var (rank, model) in models.Index())
            {
                using var fresh = ModelInitializer.Initialize(ModelSample.Context(config, world, rank));
                _ = await StateSample.Loader.LoadAsync(fresh, output, new TensorParallel(world, rank));
                StateSample.AssertSame(model, fresh);
                model.Dispose();
            }
        }
    }

    private static Tensor Turned(Tensor tensor)
    {
        using (tensor)
        {
            return tensor.Transpose(0, 1);
        }
    }
}
