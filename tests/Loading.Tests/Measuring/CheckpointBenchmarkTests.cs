using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

[Collection(Alone.Name)]
public sealed class CheckpointBenchmarkTests
{
    private static string Sample => Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    [Fact]
    public async Task Every_load_is_held_against_a_limit_of_the_same_rounds()
    {
        using var folder = new TemporaryFolder();
        const int bytes = 5 << 20;
        var report = await CheckpointBenchmark.RunAsync(
            WriteZeros(folder, bytes), new CheckpointBenchmarkOptions { Rounds = 3, Load = new LoadOptions { Lanes = 1, StagingBytes = 4 << 20 } });
        Assert.Equal(("safetensors", 1, "host", 3, 1), (report.Format, report.Tensors, report.Device, report.Rounds, report.Lanes));
        Assert.Equal(bytes, report.BytesRead);
        Assert.Equal((false, true), (report.IsYardstickBounded, report.AreFilesCached));
        Assert.Equal(4, report.Limits.Length);
        Assert.All(report.Limits, limit => Assert.Equal(3, limit.Values.Length));
        string[] compared = ["load keep, first load", "load keep, reused memory", "load to f32, reused memory"];
        // The file is BF16: to BF16 nothing changes, and cold was not asked for.
        Assert.Equal(["open", "plan", "peak memory of a load", .. compared, "load keep, mapped, zero-copy"], report.Rows.Select(row => row.Name));
        foreach (var row in report.Rows.Where(row => compared.Contains(row.Name)))
        {
            var limit = Assert.Single(row.Comparisons);
            Assert.Equal((MeasuredAgainst.Limit, 3, (long)bytes), (limit.Against, limit.Pairs.Length, row.Bytes));
            Assert.Equal(row.Values.AsEnumerable(), limit.Pairs.Select(pair => pair.Ours));
            Assert.True(limit.Ratio!.Value.Minimum > 0);
        }
    }

    [Fact]
    public async Task Little_is_measured_in_time_and_held_against_nothing()
    {
        var report = await CheckpointBenchmark.RunAsync(Sample, new CheckpointBenchmarkOptions { Rounds = 2 });
        Assert.Equal((21, 316_032), (report.Tensors, report.BytesRead));
        var loads = report.Rows.Where(row => row.Name.EndsWith("reused memory", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, loads.Length);
        Assert.All(loads, row =>
        {
            Assert.Empty(row.Comparisons);
            Assert.Equal((2, 316_032L), (row.Values.Length, row.Bytes));
            Assert.EndsWith("ms", row.Format(row.Statistic!.Value), StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Nothing_is_refused()
    {
        var chosen = new CheckpointBenchmarkOptions { Load = new LoadOptions { Include = ["none*"] } };
        Assert.Contains("None of the 21 tensors", (await Assert.ThrowsAsync<ArgumentException>(() => CheckpointBenchmark.RunAsync(Sample, chosen))).Message, StringComparison.Ordinal);
        using var folder = new TemporaryFolder();
        string[] empty = [folder.Write("a.safetensors", new SafetensorsBuilder().ToBytes()), folder.Write("b.safetensors", new SafetensorsBuilder().Add("a", "F32", [0], []).ToBytes())];
        foreach (var path in empty)
        {
            await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => CheckpointBenchmark.RunAsync(path));
        }
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cold_loads_are_cold_and_all_others_warm_whatever_the_cache_holds_at_first(bool isWarmAtFirst)
    {
        using var folder = new TemporaryFolder();
        var path = WriteZeros(folder, 80 << 20);
        if (FileResidency.TryDrop([path]) is not null)
        {
            // Files in memory are never cold.
            var never = await CheckpointBenchmark.RunAsync(path, new CheckpointBenchmarkOptions { Rounds = 1, Cold = true, DTypes = [] });
            Assert.NotNull(Assert.Single(never.Rows, row => row.Name == "load keep, cold, reused memory").Skipped);
            return;
        }

        string modeOfCold;
        await using (var checkpoint = await Checkpoint.OpenAsync(path))
        {
            modeOfCold = new CheckpointLoader().Plan(checkpoint).FileModes[0].ModeName;
        }

        if (isWarmAtFirst)
        {
            _ = await File.ReadAllBytesAsync(path);
        }

        var report = await CheckpointBenchmark.RunAsync(path, new CheckpointBenchmarkOptions { Rounds = 2, Cold = true, DTypes = [DType.F32] });
        var modes = report.Rows.ToDictionary(row => row.Name, row => row.ReadMode);
        Assert.Equal(
            (isWarmAtFirst ? "buffered" : modeOfCold, "buffered", "buffered", "buffered", "mapped", modeOfCold),
            (modes["peak memory of a load"],
            modes["load keep, first load"],
            modes["load keep, reused memory"],
            modes["load to f32, reused memory"],
            modes["load keep, mapped, zero-copy"],
            modes["load keep, cold, reused memory"]));
        Assert.Null(modes["open"]);
        var cold = Assert.Single(report.Rows, row => row.Name == "load keep, cold, reused memory");
        Assert.Equal((2, 2), (cold.Values.Length, Assert.Single(cold.Comparisons).Pairs.Length));
        await using var warm = await Checkpoint.OpenAsync(path);
        _ = await File.ReadAllBytesAsync(path);
        Assert.Equal(new CheckpointLoader().Plan(warm).Staging.Lanes, report.Lanes);
    }

    [Theory]
    [InlineData("cold")]
    [InlineData("mapped")]
    public async Task A_file_that_cannot_be_read_in_a_cold_or_mapped_load_leaves_that_row_out(string step)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.safetensors", SafetensorsBuilder.Tiny());
        var report = await CheckpointBenchmark.RunAsync(
            path, new CheckpointBenchmarkOptions { Rounds = 1, Cold = true, DTypes = [] }, new AtStep(step, () => File.Delete(path)));
        var row = Assert.Single(report.Rows, row => row.Name.Contains(step, StringComparison.Ordinal));
        Assert.True(row.Values.IsEmpty);
        Assert.NotEqual("", row.Skipped);
        Assert.False(Assert.Single(report.Rows, row => row.Name == "load keep, reused memory").Values.IsEmpty);
    }

    [Fact]
    public async Task Mapped_tensors_are_not_loaded_again_and_what_is_converted_beside_them_is_loaded_anew()
    {
        using var folder = new TemporaryFolder();
        // A length that keeps F32 on whole elements: both are mapped as they are stored, and to F32 one still is.
        var path = folder.Write("a.safetensors", new SafetensorsBuilder().Add("a", "F32", [256], new byte[1024]).Add("b", "BF16", [2 << 20], new byte[4 << 20]).ToBytes());
        var report = await CheckpointBenchmark.RunAsync(path, new CheckpointBenchmarkOptions
        {
            Rounds = 2,
            Cold = true,
            DTypes = [DType.F32],
            Load = new LoadOptions { ReadMode = ReadMode.Mapped },
        });
        var rows = report.Rows.ToDictionary(row => row.Name);
        foreach (var name in (string[])["load keep, first load", "load keep, reused memory", "load keep, cold, reused memory"])
        {
            Assert.True(rows[name].Values.IsEmpty);
            Assert.NotNull(rows[name].Skipped);
        }

        Assert.Equal((2, 4L << 20), (rows["load to f32, first load"].Values.Length, rows["load to f32, first load"].Bytes));
        Assert.Single(rows["load to f32, first load"].Comparisons);
        Assert.Equal(2, rows["load keep, mapped, zero-copy"].Values.Length);
    }

    [Fact]
    public async Task Steps_are_reported_in_their_order_and_never_more_than_there_are()
    {
        var steps = new List<BenchmarkProgress>();
        await CheckpointBenchmark.RunAsync(Sample, new CheckpointBenchmarkOptions { Rounds = 1 }, new Recorder(steps));
        Assert.Equal("open", steps[0].Step);
        Assert.Equal(Enumerable.Range(0, steps.Count), steps.Select(step => step.Done));
        Assert.All(steps, step => Assert.True(step.Done < step.Total));
    }

    [Fact]
    public async Task Cancellation_at_any_step_ends_it_and_frees_everything()
    {
        var device = new HostDevice();
        for (var step = 0; step < 6; step++)
        {
            using var stop = new CancellationTokenSource();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CheckpointBenchmark.RunAsync(
                Sample, new CheckpointBenchmarkOptions { Rounds = 2, Load = new LoadOptions { Device = device } }, new Stopper(stop, step), stop.Token));
            Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    [Fact]
    public async Task Wrong_options_and_files_are_refused()
    {
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => CheckpointBenchmark.RunAsync(Sample, new CheckpointBenchmarkOptions { Rounds = 0 }));
        await Assert.ThrowsAsync<ArgumentException>(
            () => CheckpointBenchmark.RunAsync(Sample, new CheckpointBenchmarkOptions { Load = new LoadOptions { Device = MetaDevice.Shared } }));
        await Assert.ThrowsAnyAsync<IOException>(() => CheckpointBenchmark.RunAsync("/none.safetensors"));
    }

    private static string WriteZeros(TemporaryFolder folder, int bytes)
    {
        var path = folder["zeros.safetensors"];
        using var stream = File.Create(path);
        stream.Write(SafetensorsBuilder.File("{" + SafetensorsBuilder.Entry("a", "BF16", [(ulong)bytes / 2], 0, (ulong)bytes) + "}"));
        stream.SetLength(stream.Length + bytes);
        return path;
    }

    private sealed class Recorder(List<BenchmarkProgress> steps) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value) => steps.Add(value);
    }

    private sealed class AtStep(string step, Action act) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value)
        {
            if (value.Step == step)
            {
                act();
            }
        }
    }

    private sealed class Stopper(CancellationTokenSource stop, int step) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value)
        {
            if (value.Done == step)
            {
                stop.Cancel();
            }
        }
    }
}
