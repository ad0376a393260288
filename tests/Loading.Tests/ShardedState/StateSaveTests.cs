using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a rank's save writes, and what it takes for it.</summary>
public sealed class StateSaveTests
{
    [Theory]
    [InlineData(null, "abcd")]
    [InlineData(64L, "abcd")]
    [InlineData(63L, "abc d")]
    [InlineData(48L, "abc d")]
    [InlineData(47L, "ab cd")]
    [InlineData(31L, "a b c d")]
    [InlineData(16L, "a b c d")]
    // One that is larger than a part has one alone, wherever it comes, and no part is empty.
    [InlineData(15L, "a b c d")]
    [InlineData(1L, "a b c d")]
    public async Task A_part_ends_before_it_would_have_more(long? maximum, string expected)
    {
        using var folder = new TemporaryFolder();
        // Not the order of their names; 16 bytes each.
        using var model = StateSample.Model("abcd".Select((name, i) => (name.ToString(), StateSample.Random(i, DType.F32, 4))));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = maximum });
        await AssertPartsAsync(folder["out"], saved, expected);
        Assert.Equal(64, saved.ByteLength);
    }

    [Theory]
    [InlineData("big a b", 16L, "big|a|b")]
    [InlineData("big a b", 32L, "big|a,b")]
    [InlineData("a big b", 32L, "a|big|b")]
    [InlineData("a b big", 32L, "a,b|big")]
    public async Task A_tensor_larger_than_a_part_is_alone_in_its_own(string order, long maximum, string expected)
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(order.Split(' ').Select((name, i) => (name, StateSample.Random(i, DType.F32, name == "big" ? 100 : 4))));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { MaximumPartBytes = maximum });
        Assert.Equal(expected.Split('|').Length, saved.Files.Length);
        foreach (var (part, names) in expected.Split('|').Index())
        {
            Assert.Equal($"model-rank-0-part-{part}.safetensors", saved.Files[part]);
            Assert.Equal(names.Split(',').Order(StringComparer.Ordinal), await StateSample.NamesAsync(Path.Combine(folder["out"], saved.Files[part])));
        }
    }

    [Fact]
    public async Task The_manifest_has_every_file_and_tensor_as_they_are_on_the_disk()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(Enumerable.Range(0, 9).Select(i => ($"t{i}", StateSample.Random(i, i % 2 == 0 ? DType.F16 : DType.Q8_0, 3, 64))));
        var saved = await StateSample.Loader.SaveModelAsync(
            model, folder["out"], new ShardedStateSaveOptions { Pattern = ShardFilePattern.Parse("{part}~{rank}.st"), MaximumPartBytes = 700, SaveId = "x" });
        var manifest = Assert.Single(await RankManifest.ReadFolderAsync(folder["out"]));
        Assert.Equal(("x", 0, 1, "{part}~{rank}.st"), (manifest.SaveId, manifest.Rank, manifest.WorldSize, manifest.Pattern));
        Assert.Equal(saved.Files, manifest.Files.Select(file => file.Name));
        Assert.True(saved.Files.Length > 2);
        Assert.Equal("0~0.st", saved.Files[0]);
        foreach (var file in manifest.Files)
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(folder["out"], file.Name));
            Assert.Equal((bytes.LongLength, Convert.ToHexStringLower(SHA256.HashData(bytes))), (file.ByteLength, file.Sha256));
        }

        Assert.Equal(9, manifest.Tensors.Entries.Count);
        foreach (var (name, tensor) in model.NamedState())
        {
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(StateSample.Bytes(tensor))), manifest.Tensors.Entries[name].Sha256);
        }
    }

    [Fact]
    public async Task A_header_that_was_changed_is_refused_although_every_tensor_is_as_it_was()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        var saved = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        var path = Path.Combine(folder["out"], saved.Files[0]);
        var bytes = await File.ReadAllBytesAsync(path);
        var header = 8 + (int)BitConverter.ToUInt64(bytes);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes.AsSpan(0, header))), Assert.Single((await RankManifest.ReadFolderAsync(folder["out"]))[0].Files).HeaderSha256);
        // A quote beyond the names: a letter of the metadata, or the padding.
        var metadata = System.Text.Encoding.UTF8.GetString(bytes, 8, header - 8);
        var changed = metadata.Replace("\"format\":\"pt\"", "\"format\":\"tp\"", StringComparison.Ordinal);
        if (changed == metadata)
        {
            // The padding's space becomes another that JSON allows.
            Assert.EndsWith(" ", metadata, StringComparison.Ordinal);
            changed = metadata[..^1] + "\t";
        }

        System.Text.Encoding.UTF8.GetBytes(changed).CopyTo(bytes, 8);
        await File.WriteAllBytesAsync(path, bytes);
        var exception = await Assert.ThrowsAsync<ManifestMismatchException>(() => ShardedState.OpenAsync(folder["out"], 0));
        Assert.Equal(saved.Files[0], Assert.Single(exception.Files).File);
        Assert.Contains("its header of", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Configuration_and_tokenizer_are_in_the_manifest_and_a_part_that_is_not_is_a_warning()
    {
        using var folder = new TemporaryFolder();
        folder.Write("from/config.json", "{}");
        folder.Write("from/tokenizer.json", "[]");
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { CarriedFrom = folder["from"] });
        var manifest = Assert.Single(await RankManifest.ReadFolderAsync(folder["out"]));
        Assert.Equal(
            [("config.json", 2L, Convert.ToHexStringLower(SHA256.HashData("{}"u8))), ("tokenizer.json", 2L, Convert.ToHexStringLower(SHA256.HashData("[]"u8)))],
            manifest.Carried.Select(file => (file.Name, file.ByteLength, file.Sha256)));
        await using (var state = await ShardedState.OpenAsync(folder["out"], 0))
        {
            Assert.Empty(state.Warnings);
        }

        File.Copy(folder["out/model-rank-0-part-0.safetensors"], folder["out/model-rank-0-part-1.safetensors"]);
        await using (var state = await ShardedState.OpenAsync(folder["out"], 0))
        {
            Assert.Contains("model-rank-0-part-1.safetensors", Assert.Single(state.Warnings), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_folder_that_was_set_aside_is_named_where_its_place_is_empty()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        var aside = TemporaryName.Aside(folder["out"]);
        Directory.Move(folder["out"], aside);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ShardedState.OpenAsync(folder["out"], 0));
        Assert.Contains(aside, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_of_a_tensors_size_is_allocated_beside_three_pieces(bool isOnDevice)
    {
        using var folder = new TemporaryFolder();
        var device = new LateDevice();
        // 20 MiB side by side, and as much turned.
        var turned = StateSample.Random(2, DType.F32, 1024, 5120);
        using var model = StateSample.Model(
            ("flat", isOnDevice ? Moved(StateSample.Random(1, DType.U8, 20 << 20), device) : StateSample.Random(1, DType.U8, 20 << 20)),
            ("turned", Turned(isOnDevice ? Moved(turned, device) : turned)));
        var (live, allocations) = (device.LiveBytes, device.LiveAllocations);
        var (staging, staged) = (new HostDevice(), 0L);
        var watch = new Watch(() =>
        {
            // Three pieces on the host, nothing on the device.
            staged = Math.Max(staged, staging.LiveBytes);
            Assert.Equal(live, device.LiveBytes);
        });
        _ = await StateSample.Loader.SaveAsync(model, folder["out"], ShardedStateSaveOptions.Default, FileSystemCalls.Native, staging, watch, default);
        // What is turned is brought side by side, on whatever device.
        Assert.InRange(staged, 16 << 20, 3 * (16 << 20));
        Assert.Equal(0, staging.LiveBytes);
        Assert.Equal((live, allocations), (device.LiveBytes, device.LiveAllocations));
        Assert.True(device.PeakBytes <= live + (16 << 20), $"{device.PeakBytes - live} bytes");
        Assert.Empty(device.Violations);
        using var fresh = StateSample.Fresh(model);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        StateSample.AssertSame(model, fresh);
    }

    [Theory]
    [InlineData(DType.F32, new long[] { 5, 7, 3 }, 8)]
    [InlineData(DType.F32, new long[] { 5, 7, 3 }, 12)]
    [InlineData(DType.F32, new long[] { 5, 7, 3 }, 84)]
    [InlineData(DType.F32, new long[] { 5, 7, 3 }, 200)]
    [InlineData(DType.Q4_0, new long[] { 3, 4, 96 }, 18)]
    [InlineData(DType.Q4_0, new long[] { 3, 4, 96 }, 40)]
    [InlineData(DType.F4, new long[] { 3, 4, 6 }, 2)]
    [InlineData(DType.F6_E2M3, new long[] { 3, 4, 8 }, 3)]
    public void Pieces_follow_one_another_and_keep_their_size(DType dtype, long[] shape, int maximum)
    {
        using var whole = StateSample.Random(1, dtype, [.. shape.Select((size, i) => i == 1 ? size * 2 : size)]);
        using var apart = whole.Narrow(1, 1, shape[1]);
        using var turned = apart.Transpose(0, 1);
        foreach (var tensor in (Tensor[])[whole, apart, turned])
        {
            var bytes = new List<byte>();
            foreach (var piece in TensorBoxes.Of(tensor, maximum))
            {
                using (piece)
                {
                    Assert.InRange(piece.ByteLength, 1, maximum);
                    bytes.AddRange(StateSample.Bytes(piece));
                }
            }

            Assert.Equal(StateSample.Bytes(tensor), bytes);
        }
    }

    [Fact]
    public async Task Tensors_side_by_side_in_one_memory_are_saved_apart()
    {
        using var folder = new TemporaryFolder();
        using var slab = StateSample.Random(1, DType.F32, 100);
        using var model = StateSample.Model(Enumerable.Range(0, 10).Select(i => ($"t{i}", slab.Narrow(0, i * 10, 10))));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        await using (var file = await Checkpoint.OpenAsync(folder["out/model-rank-0-part-0.safetensors"]))
        {
            Assert.DoesNotContain("memories\":[{", string.Concat(file.Metadata.Values), StringComparison.Ordinal);
        }

        using var fresh = StateSample.Fresh(model);
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        StateSample.AssertSame(model, fresh);
        Assert.Equal(10, fresh.NamedState().Select(entry => entry.Tensor.Memory).Distinct().Count());
    }

    [Fact]
    public async Task A_model_without_tensors_or_with_one_that_has_no_storage_is_refused_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        using var none = new Module();
        Assert.Contains("no tensor", (await Assert.ThrowsAsync<InvalidOperationException>(() => StateSample.Loader.SaveModelAsync(none, folder["out"]))).Message, StringComparison.Ordinal);
        using var empty = StateSample.Model(("a", StateSample.Random(1, DType.F32, 0, 4)));
        Assert.Contains("no tensor", (await Assert.ThrowsAsync<InvalidOperationException>(() => StateSample.Loader.SaveModelAsync(empty, folder["out"]))).Message, StringComparison.Ordinal);
        using var meta = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)), ("b.c", Meta()), ("d", Meta()));
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StateSample.Loader.SaveModelAsync(meta, folder["out"]));
        Assert.Contains("2 tensors of the model have no storage", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'d', 'b.c'", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));

        static Tensor Meta() => Tensor.Empty(DType.F32, new Shape(4), MetaDevice.Shared);
    }

    [Fact]
    public async Task Options_that_cannot_be_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        foreach (var (options, problem) in (List<(ShardedStateSaveOptions, string)>)
            [
                (new() { MaximumPartBytes = 0 }, "at least one byte"),
                (new() { Parallel = new TensorParallel(2, 0) }, "agree on its SaveId"),
                (new() { Parallel = new TensorParallel(2, 2), SaveId = "a" }, "no rank 2"),
                (new() { SaveId = "../a" }, "../a"),
                (new() { IsProcessed = true }, "ModelDType"),
            ])
        {
            Assert.Contains(problem, (await Assert.ThrowsAnyAsync<ArgumentException>(() => StateSample.Loader.SaveModelAsync(model, folder["out"], options))).Message, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_cancelled_save_leaves_nothing_behind_and_a_folder_is_replaced_only_where_that_is_asked_for()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(Enumerable.Range(0, 5).Select(i => ($"t{i}", StateSample.Random(i, DType.F32, 4))));
        using var cancellation = new CancellationTokenSource();
        var calls = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => StateSample.Loader.SaveModelAsync(
            model,
            folder["out"],
            new ShardedStateSaveOptions { MaximumPartBytes = 16 },
            new Watch(() =>
            {
                if (++calls == 3)
                {
                    cancellation.Cancel();
                }
            }),
            cancellation.Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        await Assert.ThrowsAnyAsync<IOException>(() => StateSample.Loader.SaveModelAsync(model, folder["out"]));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"], new ShardedStateSaveOptions { Overwrite = true, MaximumPartBytes = 32 });
        Assert.Equal(
            ["model-rank-0-part-0.safetensors", "model-rank-0-part-1.safetensors", "model-rank-0-part-2.safetensors", "rank-0.json"],
            Directory.EnumerateFileSystemEntries(folder["out"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task Configuration_and_tokenizer_go_along_with_the_last_rank()
    {
        using var folder = new TemporaryFolder();
        folder.Write("from/config.json", "{ \"a\": 1 }");
        folder.Write("from/tokenizer.json", "{}");
        folder.Write("from/model.safetensors", SafetensorsBuilder.Tiny());
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)));
        var options = new ShardedStateSaveOptions { SaveId = "s", CarriedFrom = folder["from"], Parallel = new TensorParallel(2, 1) };
        Assert.Empty((await StateSample.Loader.SaveModelAsync(model, folder["out"], options)).CarriedFiles);
        var last = await StateSample.Loader.SaveModelAsync(model, folder["out"], options with { Parallel = new TensorParallel(2, 0) });
        Assert.Equal(["config.json", "tokenizer.json"], last.CarriedFiles.AsEnumerable());
        Assert.Equal("{ \"a\": 1 }", await File.ReadAllTextAsync(folder["out/config.json"]));
        Assert.False(File.Exists(folder["out/model.safetensors"]));
    }

    private static async Task AssertPartsAsync(string folder, ShardedStateSaveResult saved, string expected)
    {
        var parts = expected.Split(' ');
        Assert.Equal(parts.Select((_, i) => $"model-rank-0-part-{i}.safetensors"), saved.Files);
        foreach (var (part, names) in parts.Index())
        {
            Assert.Equal(names.Select(name => name.ToString()), await StateSample.NamesAsync(Path.Combine(folder, saved.Files[part])));
        }
    }

    private static Tensor Moved(Tensor tensor, Device device)
    {
        using (tensor)
        {
            return tensor.To(device);
        }
    }

    private static Tensor Turned(Tensor tensor)
    {
        using (tensor)
        {
            return tensor.Transpose(0, 1);
        }
    }

    private sealed class Watch(Action look) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => look();
    }
}
