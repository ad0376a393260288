using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a load takes of a folder is of one save, and what is not there is said.</summary>
[Trait("Area", "ShardedState")]
public sealed class SavedFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Ranks_that_are_split_anew_are_of_one_save_though_the_folder_is_replaced_meanwhile(bool verify)
    {
        await SaveAsync("out", "old", 2, seed: 1);
        await SaveAsync("next", "new", 2, seed: 50);
        using var model = Share(1, 0);
        try
        {
            var result = await StateSample.Loader.ReshardAsync(model, _folder["out"], MakeSaved, new ShardedStateLoadOptions { Verify = verify });
            Assert.Equal(("old", verify), (result.SaveId, result.IsVerified));
            Assert.Equal(Whole(1), StateSample.Bytes(model.Parameters["a"].Data));
        }
        catch (Exception exception) when (exception is CheckpointException or IOException)
        {
            // Where files are opened again they are others, and that is said.
            Assert.True(model.Parameters["a"].IsMeta);
        }

        Module MakeSaved(TensorParallel parallel)
        {
            if (parallel.Rank == 0)
            {
                Directory.Move(_folder["out"], _folder["gone"]);
                Directory.Move(_folder["next"], _folder["out"]);
            }

            return Share(parallel.WorldSize, parallel.Rank);
        }
    }

    [Fact]
    public async Task A_folder_that_is_replaced_while_it_is_opened_is_refused()
    {
        await SaveAsync("out", "new", 2, seed: 50);
        var now = await RankManifest.ReadFolderAsync(_folder["out"]);
        await ShardedState.ThrowIfReplacedAsync(new LocalPlace(_folder["out"]), now, CancellationToken.None);
        await SaveAsync("old", "old", 2, seed: 1);
        var before = await RankManifest.ReadFolderAsync(_folder["old"]);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ShardedState.ThrowIfReplacedAsync(new LocalPlace(_folder["out"]), before, CancellationToken.None));
        Assert.Contains("'old', and are of the save 'new' now", exception.Message, StringComparison.Ordinal);
        // An identifier that was used before is no proof.
        await SaveAsync("again", "old", 2, seed: 9);
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => ShardedState.ThrowIfReplacedAsync(new LocalPlace(_folder["again"]), before, CancellationToken.None));
    }

    [Fact]
    public async Task Another_save_than_the_one_asked_for_is_refused()
    {
        await SaveAsync("out", "new", 2, seed: 1);
        using var model = Share(2, 1);
        using var whole = Share(1, 0);
        var options = new ShardedStateLoadOptions { SaveId = "old" };
        foreach (var load in (Func<Task>[])
        [
            () => StateSample.Loader.LoadAsync(model, _folder["out"], new TensorParallel(2, 1), options),
            () => StateSample.Loader.ReshardAsync(whole, _folder["out"], parallel => Share(parallel.WorldSize, parallel.Rank), options),
        ])
        {
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(load);
            Assert.Contains("the save 'old' was expected, and this is 'new'", exception.Message, StringComparison.Ordinal);
        }

        var loaded = await StateSample.Loader.LoadAsync(model, _folder["out"], new TensorParallel(2, 1), options with { SaveId = "new" });
        Assert.Equal("new", loaded.SaveId);
    }

    [Fact]
    public async Task Ranks_without_manifests_are_counted_and_split_anew()
    {
        await SaveAsync("out", "x", 4, seed: 1);
        foreach (var manifest in Directory.GetFiles(_folder["out"], "rank-*.json"))
        {
            File.Delete(manifest);
        }

        var reports = new List<LoadProgress>();
        for (var rank = 0; rank < 2; rank++)
        {
            using var model = Share(2, rank);
            var result = await StateSample.Loader.ReshardAsync(model, _folder["out"], parallel => Share(parallel.WorldSize, parallel.Rank), null, new Recording(reports));
            Assert.Equal((1, 24L, false, null), (result.TensorCount, result.BytesRead, result.IsVerified, result.SaveId));
            Assert.Equal(Whole(1)[(rank * 24)..((rank * 24) + 24)], StateSample.Bytes(model.Parameters["a"].Data));
        }

        Assert.Equal(new LoadProgress(24, 24, 1, 1), reports[^1]);
        Assert.Equal([12L, 24L, 24L], reports.Take(3).Select(report => report.BytesRead));
    }

    [Fact]
    public async Task Files_of_every_rank_are_needed_to_split_anew()
    {
        await SaveAsync("out", "x", 3, seed: 1);
        File.Delete(_folder["out/model-rank-2-part-0.safetensors"]);
        using var model = Share(1, 0);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.ReshardAsync(model, _folder["out"], parallel => Share(parallel.WorldSize, parallel.Rank)));
        Assert.Equal(CheckpointErrorCode.ShardMissing, exception.Code);
        Assert.Contains("model-rank-2-part-0.safetensors", exception.Message, StringComparison.Ordinal);
        Assert.True(model.Parameters["a"].IsMeta);
        // A rank whose own files are there loads.
        using var first = Share(3, 0);
        _ = await StateSample.Loader.LoadAsync(first, _folder["out"], new TensorParallel(3, 0));
    }

    [Fact]
    public async Task A_path_that_is_no_folder_is_said()
    {
        using var model = Share(1, 0);
        _folder.Write("file", [1]);
        Assert.Contains("this is a file", (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.LoadAsync(model, _folder["file"]))).Message, StringComparison.Ordinal);
        Assert.Contains("no such folder", (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.LoadAsync(model, _folder["none"]))).Message, StringComparison.Ordinal);
        Assert.Contains("no such folder", (await Assert.ThrowsAsync<InvalidCheckpointException>(() => StateSample.Loader.OpenAsync(_folder["none"], 0))).Message, StringComparison.Ordinal);
    }

    // 48 bytes, split evenly.
    private static Module Share(int world, int rank)
    {
        var model = new Module();
        _ = model.Register("a", new Parameter(DType.U8, new Shape(48 / world), WeightLoaders.Sharded(0, new TensorParallel(world, rank))));
        return model;
    }

    private static byte[] Whole(int seed) => [.. Enumerable.Range(seed, 48).Select(number => (byte)number)];

    private async Task SaveAsync(string name, string id, int world, int seed)
    {
        for (var rank = 0; rank < world; rank++)
        {
            using var model = Share(world, rank);
            model.Parameters["a"].SetData(Tensor.FromValues<byte>(DType.U8, new Shape(48 / world), Whole(seed).AsSpan(rank * (48 / world), 48 / world), HostDevice.Shared));
            _ = await StateSample.Loader.SaveModelAsync(model, _folder[name], new ShardedStateSaveOptions { Parallel = new TensorParallel(world, rank), SaveId = id });
        }
    }

    private sealed class Recording(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => reports.Add(value);
    }
}
