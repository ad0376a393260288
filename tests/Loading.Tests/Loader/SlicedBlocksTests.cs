using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Parts of quantised tensors that begin or end inside a block: decoded, then cut, without reading the rest of the rows.</summary>
public sealed class SlicedBlocksTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    [Fact]
    public void A_part_is_that_of_the_decoded_whole_in_any_type_shape_slice_device_and_slot() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadPartAsync(new Random(seed)).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public async Task Kept_as_blocks_a_part_inside_one_is_refused_with_what_to_do()
    {
        await using var checkpoint = await OpenAsync(DType.Q4_K, [2, 512], new Random(1));
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => LoadPlanner.Plan(checkpoint, new LoadOptions(), _ => true, _ => new TensorSlice(1, 100, 200)));
        Assert.Equal(("t", "slices within blocks of Q4_K"), (error.Tensor, error.Feature));
        Assert.Contains("load it in a dtype that it is decoded to", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_more_is_read_than_the_blocks_that_hold_the_part()
    {
        // 100 rows of 64 blocks of 32; of each row the values 1000 to 1040, which lie in two blocks.
        RecordingSource? source = null;
        await using var checkpoint = await OpenAsync(DType.Q8_0, [100, 2048], new Random(1), inner => source = new RecordingSource(inner));
        var opened = source!.BytesRead;
        var options = new LoadOptions { Device = new HostDevice(), DType = DType.F32 };
        var plan = LoadPlanner.Plan(checkpoint, options, _ => true, _ => new TensorSlice(1, 1000, 40));
        Assert.Equal(100 * 2 * 34, plan.BytesNeeded);
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.Equal(plan.BytesToRead, source.BytesRead - opened);
        Assert.Equal(new Shape(100, 40), model["t"].Shape);
    }

    [Fact]
    public async Task A_row_beyond_a_slot_is_refused_before_anything_is_read()
    {
        await using var checkpoint = await OpenAsync(DType.Q8_0, [2, 4096], new Random(1));
        var options = new LoadOptions { Device = new LateDevice { SlotBytes = 1000 }, DType = DType.F32, Lanes = 1 };
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => LoadPlanner.Plan(checkpoint, options, _ => true, _ => new TensorSlice(1, 1, 4000)));
        Assert.Equal("t", error.Tensor);
        Assert.Contains("staging slot has 1000", error.Message, StringComparison.Ordinal);
    }

    private static async Task LoadPartAsync(Random random)
    {
        var dtypes = DType.All.Where(dtype => dtype.IsBlock).ToArray();
        var dtype = dtypes[random.Next(dtypes.Length)];
        long[] shape = [.. Enumerable.Range(0, random.Next(3)).Select(_ => (long)random.Next(1, 5)), random.Next(1, 5) * dtype.BlockLength];
        var dimension = random.Next(shape.Length);
        var start = random.NextInt64(shape[dimension] + 1);
        var slice = new TensorSlice(dimension, start, random.NextInt64(shape[dimension] - start + 1));
        var targets = Codecs.Targets;
        var target = targets[random.Next(targets.Length)];
        Device? late = random.Next(3) switch
        {
            0 => null,
            1 => new LateDevice { SlotBytes = 5 * 292 },
            _ => new LateGroup { SlotBytes = 5 * 292 }.Device,
        };
        var host = new HostDevice();
        await using var checkpoint = await OpenAsync(dtype, shape, random, inner => new ShortReadSource(inner, random.Next(1, 500)));

        await using var whole = await new CheckpointLoader().LoadAsync(
            LoadPlanner.Plan(checkpoint, new LoadOptions { Device = host, DType = target }, _ => true));
        using var part = whole["t"].Narrow(dimension, slice.Start, slice.Length);
        using var expected = part.To(target);

        var options = new LoadOptions { Device = late ?? (Device)host, DType = target, Lanes = random.Next(1, 3) };
        await using (var model = await new CheckpointLoader().LoadAsync(LoadPlanner.Plan(checkpoint, options, _ => true, _ => slice)))
        {
            Assert.Equal(expected.Shape, model["t"].Shape);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), late is null ? model["t"].AsSpan<byte>().ToArray() : LateDevice.Read(model["t"]));
        }

        Assert.Empty((late as LateDevice)?.Violations ?? []);
        Assert.Equal(0, late?.LiveAllocations ?? 0);
    }

    private static Task<Checkpoint> OpenAsync(DType dtype, long[] shape, Random random, Func<IByteSource, IByteSource>? wrap = null)
    {
        Assert.True(GgufTypes.TryGetId(dtype, out var id));
        var bytes = new byte[dtype.ByteCount(shape.Aggregate(1L, (product, size) => product * size))];
        random.NextBytes(bytes);
        IByteSource source = new MemorySource(
            new GgufBuilder().Tensor("t", id, [.. shape.Reverse().Select(size => (ulong)size)], bytes).ToBytes());
        return Checkpoint.OpenAsync(wrap is null ? source : wrap(source));
    }
}
