using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A rank's state comes into a model whole, or not at all.</summary>
public sealed class StateLoadTests
{
    private static readonly byte[] Eight = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    [Fact]
    public async Task A_folder_without_manifests_loads_with_the_warning_that_it_is_not_verified()
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-1-part-0.safetensors", ("a", DType.F32, [8], Eight));
        StateSample.Write(folder, "model-rank-1-part-1.safetensors", ("b", DType.F32, [4, 2], Eight));
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("other", DType.F32, [8], Eight));
        using var model = Meta(("a", DType.F32, [8]), ("b", DType.F32, [4, 2]));
        var warnings = new RecordedWarnings();
        var loaded = await StateSample.Loader.LoadAsync(model, folder.Path, new TensorParallel(2, 1), new ShardedStateLoadOptions { Warnings = new WarningLog(warnings) });
        Assert.Contains("not verified", Assert.Single(loaded.Warnings), StringComparison.Ordinal);
        Assert.False(loaded.IsVerified);
        Assert.Equal((2, 64L), (loaded.TensorCount, loaded.BytesRead));
        Assert.All(model.NamedState(), entry => Assert.Equal(Eight, StateSample.Bytes(entry.Tensor)));
    }

    [Fact]
    public async Task The_order_of_files_and_of_arrival_changes_nothing()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(Enumerable.Range(0, 40).Select(i => ($"t{i}", StateSample.Random(i, DType.F16, 100))));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = 1000 });
        File.Delete(folder["out/rank-0.json"]);
        for (var turn = 0; turn < 2; turn++)
        {
            foreach (var lanes in (int[])[1, 4])
            {
                using var fresh = StateSample.Fresh(model);
                _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], null, new ShardedStateLoadOptions { Load = new LoadOptions { Lanes = lanes, StagingBytes = 1 << 20 } });
                StateSample.AssertSame(model, fresh);
            }

            // The last part first.
            foreach (var (i, name) in saved.Files.Index())
            {
                var path = Path.Combine(folder["out"], name);
                if (turn == 0)
                {
                    File.Move(path, Path.Combine(folder["out"], $"model-rank-0-part-{1000 - i}.safetensors"));
                }
            }
        }
    }

    [Fact]
    public async Task Missing_and_unexpected_keys_are_one_error_that_lists_them_all()
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", [.. Enumerable.Range(0, 9).Select(i => ($"extra{i}", DType.F32, new long[] { 8 }, Eight)), ("a", DType.F32, [8], Eight)]);
        using var model = Meta([("a", DType.F32, [8]), .. Enumerable.Range(0, 9).Select(i => ($"lost{i}", DType.F32, new long[] { 8 }))]);
        var exception = await FailAsync<ModelMismatchException>(model, folder.Path);
        Assert.Contains("missing keys: the model has " + string.Join(", ", Enumerable.Range(0, 9).Select(i => $"'lost{i}'")), exception.Message, StringComparison.Ordinal);
        Assert.Contains("unexpected keys: the state has " + string.Join(", ", Enumerable.Range(0, 9).Select(i => $"'extra{i}'")), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_in_two_parts_is_an_error()
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a", DType.F32, [8], Eight));
        StateSample.Write(folder, "model-rank-0-part-1.safetensors", ("a", DType.F32, [8], Eight));
        using var model = Meta(("a", DType.F32, [8]));
        Assert.Equal(CheckpointErrorCode.DuplicateTensor, (await FailAsync<InvalidCheckpointException>(model, folder.Path)).Code);
    }

    [Theory]
    [InlineData(new long[] { 9 }, "of shape [9] is larger than parameter 'a' of shape [8]")]
    [InlineData(new long[] { 2, 4 }, "2 dimensions, [2, 4], and parameter 'a' 1, [8]")]
    [InlineData(new long[0], "0 dimensions")]
    public async Task A_larger_dimension_or_another_number_of_them_is_an_error(long[] shape, string problem)
    {
        using var folder = new TemporaryFolder();
        var elements = shape.Aggregate(1L, (product, size) => product * size);
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a", DType.F32, shape, new byte[elements * 4]));
        using var model = Meta(("a", DType.F32, [8]));
        Assert.Contains(problem, (await FailAsync<ModelMismatchException>(model, folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_narrower_tensor_goes_into_the_narrowed_view_with_a_warning_and_the_rest_is_zero(bool isFresh)
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a.b", DType.F32, [4, 2], Eight));
        using var model = isFresh ? Meta(("a.b", DType.F32, [5, 3])) : StateSample.Model(("a.b", StateSample.Random(1, DType.F32, 5, 3)));
        var loaded = await StateSample.Loader.LoadAsync(model, folder.Path);
        Assert.Contains("loading tensor of shape [4, 2] into parameter 'a.b' of shape [5, 3]", loaded.Warnings[1], StringComparison.Ordinal);
        byte[] expected = [.. Enumerable.Range(0, 4).SelectMany(row => (byte[])[.. Eight[(row * 8)..((row * 8) + 8)], 0, 0, 0, 0]), .. new byte[12]];
        Assert.Equal(expected, StateSample.Bytes(model.NamedState().Single().Tensor));
    }

    [Fact]
    public async Task Another_dtype_is_converted_where_the_parameter_allows_it()
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a", DType.BF16, [2], [0x80, 0x3F, 0x40, 0xC0]), ("n", DType.I32, [2], Eight[..8]));
        using var model = new Module();
        _ = model.Register("a", new Parameter(DType.F32, new Shape(2)) { Conversion = ParameterConversion.FromFloats });
        _ = model.Register("n", new Parameter(DType.I32, new Shape(2)) { Conversion = ParameterConversion.None });
        _ = await StateSample.Loader.LoadAsync(model, folder.Path);
        Assert.Equal([1F, -3F], model.Parameters["a"].Data.AsReadOnlySpan<float>().ToArray());

        using var other = new Module();
        _ = other.Register("a", new Parameter(DType.F32, new Shape(2)) { Conversion = ParameterConversion.None });
        _ = other.Register("n", new Parameter(DType.F32, new Shape(2)) { Conversion = ParameterConversion.FromFloats });
        var exception = await FailAsync<ModelMismatchException>(other, folder.Path);
        Assert.Contains("'a' is BF16 and parameter 'a' F32, which it is not converted to", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'n' is I32 and parameter 'n' F32, and whole numbers", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_with_storage_keeps_its_addresses()
    {
        using var folder = new TemporaryFolder();
        using var saved = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4, 3)), ("b", StateSample.Random(2, DType.F16, 6)));
        _ = await StateSample.Loader.SaveModelAsync(saved, folder["out"]);
        using var whole = StateSample.Random(3, DType.F32, 3, 9);
        using var part = whole.Narrow(1, 2, 4);
        using var model = StateSample.Model(("a", part.Transpose(0, 1)), ("b", StateSample.Random(4, DType.F32, 6)));
        model.Parameters["b"].SetData(StateSample.Random(4, DType.F16, 6));
        var before = model.NamedState().Select(entry => (entry.Tensor, ((HostMemory)entry.Tensor.Memory).Address)).ToArray();
        _ = await StateSample.Loader.LoadAsync(model, folder["out"]);
        StateSample.AssertSame(saved, model);
        Assert.Equal(before, model.NamedState().Select(entry => (entry.Tensor, ((HostMemory)entry.Tensor.Memory).Address)));
    }

    [Fact]
    public async Task Another_number_of_ranks_is_refused_with_both()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        for (var rank = 0; rank < 2; rank++)
        {
            _ = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { Parallel = new TensorParallel(2, rank), SaveId = "s" });
        }

        using var fresh = StateSample.Fresh(model);
        foreach (var (world, rank) in ((int, int)[])[(1, 0), (4, 3)])
        {
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(world, rank)));
            Assert.Equal(CheckpointErrorCode.WorldSizeMismatch, exception.Code);
            Assert.Contains($"saved by 2 ranks and is loaded by {world} rank", exception.Message, StringComparison.Ordinal);
            Assert.Contains("--reshard", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(CheckpointErrorCode.WorldSizeMismatch, (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.OpenAsync(folder["out"], 2))).Code);
        // Every rank has to be there.
        File.Delete(folder["out/rank-1.json"]);
        Assert.Equal(CheckpointErrorCode.ManifestInvalid, (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.LoadAsync(fresh, folder["out"], new TensorParallel(2, 0)))).Code);
    }

    [Fact]
    public async Task Other_bytes_missing_files_and_other_sizes_are_found()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)), ("b", StateSample.Random(2, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = 16 });
        var path = folder["out/model-rank-0-part-1.safetensors"];
        var bytes = await File.ReadAllBytesAsync(path);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(path, bytes);
        using var fresh = StateSample.Fresh(model);
        var exception = await Assert.ThrowsAsync<ManifestMismatchException>(() => StateSample.Loader.LoadAsync(fresh, folder["out"]));
        Assert.Equal("b", Assert.Single(exception.Mismatches).Tensor);
        Assert.All(fresh.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
        Assert.False((await StateSample.Loader.LoadAsync(fresh, folder["out"], null, new ShardedStateLoadOptions { Verify = false })).IsVerified);
        await File.WriteAllBytesAsync(path, bytes[..^1]);
        Assert.Equal(CheckpointErrorCode.SizeMismatch, (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.OpenAsync(folder["out"], 0))).Code);
        File.Delete(path);
        Assert.Equal(CheckpointErrorCode.ShardMissing, (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.OpenAsync(folder["out"], 0))).Code);
    }

    [Fact]
    public async Task After_a_failure_or_a_cancellation_a_new_model_is_as_it_was_and_nothing_stays_allocated()
    {
        using var folder = new TemporaryFolder();
        var (config, make) = QuantizedLinearTests.SchemeOf("gptq");
        using (var part = make(new Random(1), 64))
        using (var layer = QuantizedLinearTests.Layer(config, "column", 1, 0))
        {
            QuantizedLayers.Load(layer, [part]);
            WeightProcessing.Run(layer, DType.BF16, HostDevice.Shared);
            _ = await StateSample.Loader.SaveModelAsync(layer, folder["out"], new ShardedStateSaveOptions { IsProcessed = true, ModelDType = DType.BF16 });
        }

        using var fresh = QuantizedLinearTests.Layer(config, "column", 1, 0);
        var before = fresh.Parameters.Select(entry => (entry.Key, entry.Value, entry.Value.DType, entry.Value.Shape)).ToArray();
        var device = new LateDevice { FailingAllocation = 1 };
        await Assert.ThrowsAsync<DeviceMemoryException>(() => StateSample.Loader.LoadAsync(fresh, folder["out"], null, On(device)));
        AssertAsBefore(device);
        using var cancellation = new CancellationTokenSource();
        device = new LateDevice();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            StateSample.Loader.LoadAsync(fresh, folder["out"], null, On(device), new Cancelling(cancellation), cancellation.Token));
        AssertAsBefore(device);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], null, On(device));
        Assert.Equal(["weight"], fresh.Parameters.Keys);
        Assert.Equal((1, 64L * 128 * 2), (device.LiveAllocations, device.LiveBytes));

        void AssertAsBefore(LateDevice used)
        {
            Assert.Equal(before, fresh.Parameters.Select(entry => (entry.Key, entry.Value, entry.Value.DType, entry.Value.Shape)));
            Assert.All(fresh.Parameters.Values, parameter => Assert.True(parameter is { IsMeta: true, Data.IsDisposed: false }));
            Assert.Equal((0, 0L), (used.LiveAllocations, used.LiveBytes));
        }

        static ShardedStateLoadOptions On(Device device) => new() { Load = new LoadOptions { Device = device } };
    }

    [Fact]
    public async Task Another_quantisation_than_the_saved_one_is_named()
    {
        using var folder = new TemporaryFolder();
        var (config, make) = QuantizedLinearTests.SchemeOf("gptq");
        using (var part = make(new Random(1), 64))
        using (var layer = QuantizedLinearTests.Layer(config, "column", 1, 0))
        {
            QuantizedLayers.Load(layer, [part]);
            _ = await StateSample.Loader.SaveModelAsync(layer, folder["out"]);
        }

        using var other = QuantizedLinearTests.Layer(QuantizedLinearTests.SchemeOf("fp8").Config, "column", 1, 0);
        var exception = await FailAsync<ModelMismatchException>(other, folder["out"]);
        Assert.Contains("saved with the quantisation method 'GptqLinearMethod' and has 'ScaledLinearMethod'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'qweight'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_that_choose_or_change_tensors_are_refused()
    {
        using var model = Meta(("a", DType.F32, [8]));
        var load = new LoadOptions { DType = DType.F16, TensorParallel = new TensorParallel(2, 0), Include = ["a"], Exclude = ["b"], Manifest = new TensorManifest([]) };
        var exception = await Assert.ThrowsAsync<ArgumentException>(() => StateSample.Loader.LoadAsync(model, "x", null, new ShardedStateLoadOptions { Load = load }));
        Assert.Contains("DType, TensorParallel, Include, Exclude, Manifest", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"schema":"other","memories":[],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[],"tensors":{"x":{"dtype":"F32","shape":[1]}}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[],"tensors":{"a":{"dtype":"F64","shape":[8]}}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[],"tensors":{"a":{"dtype":"none","shape":[8]}}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[],"tensors":{"a":{"dtype":"F32","shape":[-8]}}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":31,"tensors":{"a":{"dtype":"F32","shape":[8]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":99,"tensors":{"a":{"dtype":"F32","shape":[8],"strides":[9223372036854775807]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":99,"tensors":{"b":{"dtype":"F32","shape":[8]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":99,"tensors":{}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":32,"tensors":{"a":{"dtype":"F32","shape":[8]}}}],"tensors":{"a":{"dtype":"F32","shape":[8]}}}""")]
    // Larger than what lies in it, and a view of what is in no file.
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":6442450944,"tensors":{"a":{"dtype":"F32","shape":[8]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":36,"tensors":{"a":{"dtype":"F32","shape":[8]},"b":{"dtype":"F32","shape":[8],"offset":4}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":60,"tensors":{"a":{"dtype":"F32","shape":[8],"strides":[2]},"b":{"dtype":"F32","shape":[1],"offset":4}}}],"tensors":{}}""")]
    public async Task Metadata_that_cannot_be_are_refused(string text)
    {
        using var folder = new TemporaryFolder();
        folder.Write(
            "model-rank-0-part-0.safetensors",
            new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["ilgpu-loader/state/0"] = text }).Add("a", "F32", [8], Eight).ToBytes());
        using var model = Meta(("a", DType.F32, [8]));
        Assert.Equal(CheckpointErrorCode.MetadataInvalid, (await FailAsync<InvalidCheckpointException>(model, folder.Path)).Code);
    }

    [Theory]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":32,"tensors":{"b":{"dtype":"F32","shape":[8]},"x":{"dtype":"F32","shape":[8]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[{"bytes":32,"tensors":{"x":{"dtype":"F32","shape":[8]}}}],"tensors":{}}""")]
    [InlineData("""{"schema":"ilgpu-loader/state/1","memories":[],"tensors":{"x":{"dtype":"F32","shape":[8]}}}""")]
    public async Task A_name_that_is_tied_and_described_is_refused(string text)
    {
        using var folder = new TemporaryFolder();
        folder.Write(
            "model-rank-0-part-0.safetensors",
            new SafetensorsBuilder()
                .AddMetadata(new Dictionary<string, string> { ["ilgpu-loader/state/0"] = text, [SafetensorsTies.MetadataKey] = SafetensorsTies.Write(new Dictionary<string, string> { ["x"] = "a" }) })
                .Add("a", "F32", [8], Eight).ToBytes());
        using var model = Meta(("a", DType.F32, [8]), ("b", DType.F32, [8]), ("x", DType.F32, [8]));
        var exception = await FailAsync<InvalidCheckpointException>(model, folder.Path);
        Assert.Equal(CheckpointErrorCode.MetadataInvalid, exception.Code);
        Assert.Contains("tie it to 'a'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_folder_with_files_of_more_ranks_than_asked_for_is_refused_with_both(int rank)
    {
        using var folder = new TemporaryFolder();
        for (var saved = 0; saved < 4; saved++)
        {
            StateSample.Write(folder, $"model-rank-{saved}-part-0.safetensors", ("a", DType.F32, [8], Eight));
        }

        using var model = Meta(("a", DType.F32, [16]));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.LoadAsync(model, folder.Path, new TensorParallel(2, rank)));
        Assert.Equal(CheckpointErrorCode.WorldSizeMismatch, exception.Code);
        Assert.Contains("files of 4 ranks and is loaded by 2 ranks", exception.Message, StringComparison.Ordinal);
        // A machine may have the files of its own ranks alone.
        File.Delete(folder[$"model-rank-0-part-0.safetensors"]);
        _ = await StateSample.Loader.LoadAsync(model, folder.Path, new TensorParallel(8, 3));
    }

    [Fact]
    public async Task A_narrower_tensor_of_a_folder_with_manifests_is_an_error_unless_it_is_allowed()
    {
        using var folder = new TemporaryFolder();
        using var saved = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(saved, folder["out"]);
        using var model = Meta(("a", DType.F32, [8]));
        var exception = await FailAsync<ModelMismatchException>(model, folder["out"]);
        Assert.Contains("'a' of shape [4] is narrower than parameter 'a' of shape [8]", exception.Message, StringComparison.Ordinal);
        var loaded = await StateSample.Loader.LoadAsync(model, folder["out"], null, new ShardedStateLoadOptions { AllowsNarrower = true });
        Assert.Contains("the rest of it is 0", Assert.Single(loaded.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_state_at_another_step_than_the_model_is_refused_where_the_caller_says_it_and_a_warning_elsewhere(bool wasProcessed)
    {
        using var folder = new TemporaryFolder();
        using var saved = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(saved, folder["out"], new ShardedStateSaveOptions { IsProcessed = wasProcessed, ModelDType = DType.F32 });
        using var live = StateSample.Model(("a", StateSample.Random(2, DType.F32, 4)));
        var before = StateSample.Bytes(live);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() =>
            StateSample.Loader.LoadAsync(live, folder["out"], null, new ShardedStateLoadOptions { IsProcessed = !wasProcessed }));
        Assert.Contains(wasProcessed ? "saved after its weights were processed" : "saved before its weights were processed", exception.Message, StringComparison.Ordinal);
        Assert.Equal(before, StateSample.Bytes(live));
        var unsaid = await StateSample.Loader.LoadAsync(live, folder["out"]);
        // Without a quantisation unprocessed weights are as they would be.
        Assert.Equal(wasProcessed ? 1 : 0, unsaid.Warnings.Count(warning => warning.Contains("IsProcessed", StringComparison.Ordinal)));
        Assert.Empty((await StateSample.Loader.LoadAsync(live, folder["out"], null, new ShardedStateLoadOptions { IsProcessed = wasProcessed })).Warnings);
        StateSample.AssertSame(saved, live);
    }

    [Fact]
    public async Task Files_that_do_not_say_whether_they_are_processed_are_a_warning_where_it_is_asked()
    {
        using var folder = new TemporaryFolder();
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a", DType.F32, [8], Eight));
        using var live = StateSample.Model(("a", StateSample.Random(2, DType.F32, 8)));
        var loaded = await StateSample.Loader.LoadAsync(live, folder.Path, null, new ShardedStateLoadOptions { IsProcessed = true });
        Assert.Contains("do not say whether their weights were processed", loaded.Warnings[1], StringComparison.Ordinal);
    }

    private static Module Meta(params (string Name, DType DType, long[] Shape)[] parameters) =>
        StateSample.Model(parameters.Select(parameter => (parameter.Name, Tensor.Empty(parameter.DType, new Shape(parameter.Shape), MetaDevice.Shared))));

    private static async Task<TException> FailAsync<TException>(Module model, string folder)
        where TException : Exception
    {
        var exception = await Assert.ThrowsAsync<TException>(() => StateSample.Loader.LoadAsync(model, folder));
        Assert.All(model.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
        return exception;
    }

    private sealed class Cancelling(CancellationTokenSource cancellation) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => cancellation.Cancel();
    }
}
