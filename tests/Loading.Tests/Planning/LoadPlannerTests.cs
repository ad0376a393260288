using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadPlannerTests
{
    private const int Megabyte = 1 << 20;

    [Fact]
    public void Every_stored_byte_of_every_tensor_is_placed_exactly_once()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var sample = Sample.MakeRandom(seed);
            var checkpoint = sample.OpenAsync().GetAwaiter().GetResult();
            var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions
            {
                Device = new LateDevice { SlotBytes = random.Next(16, 3000) },
                DType = random.Next(2) == 0 ? DType.F32 : null,
                ConvertAllTypes = random.Next(2) == 0,
                Lanes = random.Next(1, 9),
                Exclude = random.Next(2) == 0 ? [] : ["t1*"],
                Include = ["t*"],
            });
            AssertCovers(plan);
            AssertRuns(plan);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(300_000)]
    [InlineData(256 << 20)]
    public async Task The_host_reads_large_tensors_directly_in_runs_of_16_MiB(long stagingBytes)
    {
        var sample = Sample.Make(
            1,
            ("small", DType.F32, [100]),
            ("large", DType.F32, [3 * Megabyte]),
            ("huge", DType.U8, [(33 * Megabyte) + 1]),
            ("last", DType.U8, [10]));
        await using var checkpoint = await sample.OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { StagingBytes = stagingBytes, Lanes = 2 });
        AssertCovers(plan);
        Assert.Equal(
            [(400, false), (12 * Megabyte, true), (16 * Megabyte, true), (16 * Megabyte, true), (Megabyte + 1, true), (10, false)],
            plan.Runs.Select(run => (run.ByteLength, run.IsInPlace)));
        Assert.All(plan.Runs.Where(run => run.IsInPlace), run => Assert.Equal(1, run.PlacementCount));
        Assert.InRange(plan.Staging.Bytes, 1, stagingBytes);
    }

    [Fact]
    public async Task Without_staged_runs_there_are_no_slots()
    {
        await using var checkpoint = await Sample.Make(1, ("large", DType.F32, [40 * Megabyte / 4])).OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Lanes = 8, StagingBytes = 64 << 10 });
        // The cap on slots would have left one lane.
        Assert.Equal(new StagingLayout(3, 0, 0), plan.Staging);
        Assert.Equal(3, plan.Runs.Length);
    }

    [Fact]
    public async Task Conversions_on_the_host_are_staged_and_cut_to_slots()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [Megabyte]), ("c", DType.C64, [Megabyte])).OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { DType = DType.F16, ConvertAllTypes = true });
        AssertCovers(plan);
        AssertRuns(plan);
        Assert.DoesNotContain(plan.Runs, run => run.IsInPlace);
        Assert.Equal([new Shape(Megabyte), new Shape(Megabyte, 2)], plan.Tensors.Select(tensor => tensor.Shape));
        Assert.Equal(12, plan.Runs.Length);
    }

    [Fact]
    public async Task Runs_do_not_reach_from_one_file_into_the_next()
    {
        using var folder = new TemporaryFolder();
        await LlamaSynthesizer.WriteAsync(folder["model"], new LlamaOptions { Shards = 3 });
        await using var checkpoint = await Checkpoint.OpenAsync(folder["model"]);
        var plan = new CheckpointLoader().Plan(checkpoint);
        AssertCovers(plan);
        Assert.Equal([0, 1, 2], plan.Runs.Select(run => run.File).Distinct());
        Assert.Equal(plan.Runs.Select(run => (run.File, run.Offset)).Order(), plan.Runs.Select(run => (run.File, run.Offset)));
    }

    [Theory]
    [InlineData("", "", "a.w,a.b,b.w,*,")]
    [InlineData("a.*", "", "a.w,a.b")]
    [InlineData("?.w", "", "a.w,b.w")]
    [InlineData("a.w|b.w", "b.*", "a.w")]
    [InlineData("", "*.w", "a.b,*,")]
    [InlineData("*", "", "a.w,a.b,b.w,*,")]
    [InlineData("A.*", "", null)]
    [InlineData("\\*", "", "*")]
    [InlineData("*", "*", null)]
    public async Task Patterns_choose_and_exclusion_wins(string include, string exclude, string? expected)
    {
        // A name may be empty, and may look like a pattern.
        var sample = Sample.Make(1, new[] { "a.w", "a.b", "b.w", "*", "" }.Select(name => (name, DType.U8, new long[] { 3 })));
        await using var checkpoint = await sample.OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions
        {
            Include = [.. include.Split('|', StringSplitOptions.RemoveEmptyEntries)],
            Exclude = [.. exclude.Split('|', StringSplitOptions.RemoveEmptyEntries)],
        });
        Assert.Equal(expected?.Split(',') ?? [], plan.Tensors.Select(tensor => tensor.Name));
        AssertCovers(plan);
        Assert.Equal(3 * plan.Tensors.Length, plan.BytesToRead);
    }

    [Fact]
    public async Task Only_floats_are_converted_unless_all_types_are_asked_for()
    {
        DType[] types = [DType.F64, DType.F32, DType.F16, DType.BF16, DType.I64, DType.BOOL, DType.C64];
        await using var checkpoint = await Sample.Make(1, types.Select(type => (type.Name, type, new long[] { 2 }))).OpenAsync();
        var loader = new CheckpointLoader();
        var floats = loader.Plan(checkpoint, new LoadOptions { DType = DType.BF16 }).Tensors;
        var all = loader.Plan(checkpoint, new LoadOptions { DType = DType.BF16, ConvertAllTypes = true }).Tensors;
        Assert.Equal(
            [DType.BF16, DType.BF16, DType.BF16, DType.BF16, DType.I64, DType.BOOL, DType.C64], floats.Select(tensor => tensor.DType));
        Assert.All(all, tensor => Assert.Equal(DType.BF16, tensor.DType));
        Assert.Equal(new Shape(2, 2), all[^1].Shape);
        Assert.Equal(4 * 2 * 2 + 16 + 2 + 16, floats.Sum(tensor => tensor.ByteLength));
    }

    [Fact]
    public async Task Blocks_are_floats_that_a_dtype_applies_to()
    {
        await using var checkpoint = await BlockSample.OpenAsync();
        var loader = new CheckpointLoader();
        Assert.Equal([DType.F16, DType.Q8_K], loader.Plan(checkpoint).Tensors.Select(tensor => tensor.DType));
        var decoded = loader.Plan(checkpoint, new LoadOptions { DType = DType.F32 }).Tensors;
        Assert.Equal([DType.F32, DType.F32], decoded.Select(tensor => tensor.DType));
        Assert.Equal(4 * (4 + 256), decoded.Sum(tensor => tensor.ByteLength));
    }

    [Fact]
    public async Task Every_target_of_the_codecs_can_be_asked_for()
    {
        DType[] floats =
        [
            DType.F64, DType.F32, DType.F16, DType.BF16, DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ,
            DType.F8_E8M0, DType.F6_E2M3, DType.F6_E3M2, DType.F4,
        ];
        var sample = Sample.Make(1, floats.Select(type => (type.Name, type, new long[] { 3, 8 })));
        await using var checkpoint = await sample.OpenAsync();
        foreach (var target in Codecs.Targets)
        {
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { DType = target });
            Assert.All(plan.Tensors, tensor => Assert.Equal((target, new Shape(3, 8)), (tensor.DType, tensor.Shape)));
            await using var model = await loader.LoadAsync(plan);
            sample.AssertLoaded(plan, model);
        }
    }

    [Fact]
    public async Task A_dtype_that_nothing_converts_to_is_refused_with_those_that_are()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [2])).OpenAsync();
        var error = Assert.Throws<ArgumentException>(() => new CheckpointLoader().Plan(checkpoint, new LoadOptions { DType = DType.I8 }));
        Assert.Contains("F8_E5M2FNUZ; I8 is none of them", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_out_of_range_are_refused()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [2])).OpenAsync();
        var loader = new CheckpointLoader();
        LoadOptions[] refused =
        [
            new() { DType = DType.I32 },
            new() { DType = DType.F8_E8M0 },
            new() { DType = DType.F4 },
            new() { DType = DType.Q4_0 },
            new() { Lanes = 0 },
            new() { Lanes = -1 },
            new() { Lanes = 1025 },
            new() { StagingBytes = (64 << 10) - 1 },
            new() { StagingBytes = -1 },
        ];
        Assert.All(refused, options => Assert.Throws<ArgumentException>(() => loader.Plan(checkpoint, options)));
        Assert.Throws<ArgumentNullException>(() => loader.Plan(null!));
    }

    [Fact]
    public async Task For_meta_nothing_is_read_and_nothing_staged()
    {
        await using var checkpoint = await Sample.MakeRandom(5).OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new MetaDevice(), Lanes = 3 });
        Assert.Equal((0, 0, 0L), (plan.Runs.Length, plan.Placements.Length, plan.BytesToRead));
        Assert.Equal(new StagingLayout(3, 0, 0), plan.Staging);
        Assert.Equal(checkpoint.Tensors.Length, plan.Tensors.Length);
    }

    // Each placement by the definition of row-major storage: the source range, and where its first value goes.
    private static void AssertCovers(LoadPlan plan)
    {
        var placed = plan.Tensors.Select(_ => new List<(long Begin, long End)>()).ToArray();
        foreach (var run in plan.Runs)
        {
            long inRun = 0;
            for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
            {
                var placement = plan.Placements[i];
                var tensor = plan.Tensors[placement.Destination];
                var begin = run.Offset + placement.RunOffset - tensor.Source.Offset;
                Assert.Same(tensor.Source.File, plan.Checkpoint.Files[run.File]);
                Assert.Equal(inRun, placement.RunOffset);
                Assert.Equal(0, begin % tensor.Source.DType.BlockSize);
                Assert.Equal(0, placement.ByteLength % tensor.Source.DType.BlockSize);
                var values = begin / tensor.Source.DType.BlockSize * tensor.Source.DType.BlockLength
                    * (tensor.Shape.Rank - tensor.Source.Shape.Rank + 1);
                Assert.Equal(tensor.DType.ByteCount(values), placement.DestinationOffset);
                placed[placement.Destination].Add((begin, begin + placement.ByteLength));
                inRun += placement.ByteLength;
            }

            Assert.Equal(run.ByteLength, inRun);
        }

        foreach (var (index, ranges) in placed.Index())
        {
            long end = 0;
            foreach (var range in ranges)
            {
                Assert.Equal(end, range.Begin);
                Assert.True(range.End > range.Begin);
                end = range.End;
            }

            Assert.Equal(plan.Tensors[index].Source.ByteLength, end);
        }

        Assert.Equal(plan.BytesNeeded, plan.BytesToRead);
        Assert.Equal(plan.Placements.Length, plan.Runs.Sum(run => run.PlacementCount));
    }

    // Staged runs: within a slot, in file order, and none that a neighbour could have taken in.
    private static void AssertRuns(LoadPlan plan)
    {
        Assert.All(plan.Runs, run => Assert.InRange(run.ByteLength, 1, plan.Staging.SlotBytes));
        foreach (var (run, next) in plan.Runs.Zip(plan.Runs.Skip(1)))
        {
            Assert.True(run.File < next.File || run.Offset + run.ByteLength <= next.Offset);
            if (run.File == next.File && run.Offset + run.ByteLength == next.Offset)
            {
                var unit = plan.Tensors[plan.Placements[next.FirstPlacement].Destination].Source.DType.BlockSize;
                Assert.True(run.ByteLength + unit > plan.Staging.SlotBytes, $"{next} could have begun in {run}");
            }
        }
    }
}
