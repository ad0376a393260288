using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>How much a rank reads: its share where that is one range, long segments or asked for, else whatever is cheaper.</summary>
public sealed class ExactSlicesTests
{
    private const long ReadCostBytes = 64 << 10;
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    /// <summary>How a tensor is split.</summary>
    private enum Split
    {
        Rows,
        Experts,
        LongSegments,
        ShortSegments,
    }

    [Fact]
    public void A_rank_reads_its_share_of_any_type() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadShareAsync(new Random(seed)).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    // Parts that begin and end inside blocks: of each row the whole blocks that hold the part, and nothing else.
    [Fact]
    public void Exactly_read_parts_inside_blocks_take_the_blocks_that_hold_them() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadCutPartAsync(new Random(seed)).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Slices_of_views_are_read_with_their_gaps_unless_exactly(bool exactly)
    {
        // A transposed matrix [300, 200]; 20 of its 300 rows are 20 elements side by side of each of 200 stored rows.
        var sample = ViewSample.Make(5, DType.F32, 200, 300);
        RecordingSource? source = null;
        await using var checkpoint = sample.Open(inner => source = new RecordingSource(inner), new ViewShape("t", [300, 200], [1, 300], 0));
        var options = new LoadOptions { Device = new HostDevice(), ExactSlices = exactly };
        var plan = LoadPlanner.Plan(checkpoint, options, _ => true, _ => new TensorSlice(0, 40, 20));
        var opened = source!.BytesRead;
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        const long share = 20 * 200 * 4;
        Assert.Equal((share, share), (plan.BytesToRead, plan.BytesNeeded));
        Assert.Equal(exactly, source.BytesRead - opened == share);
        Assert.Equal(sample.Bytes(checkpoint["t"]).AsSpan(40 * 200 * 4, (int)share), model["t"].AsSpan<byte>());
    }

    private static async Task LoadShareAsync(Random random)
    {
        var dtype = random.GetItems([.. DType.All], 1)[0];
        var split = random.GetItems(Enum.GetValues<Split>(), 1)[0];
        var ranks = random.GetItems([2, 3, 4, 8], 1)[0];
        var rank = random.Next(ranks);
        var exactly = random.Next(2) == 0;
        // Groups of elements of the last dimension, and for segments those of one rank.
        var groups = split switch
        {
            Split.LongSegments => (ReadCostBytes / dtype.BlockSize) + random.Next(1, 50),
            Split.ShortSegments => random.Next(1, Math.Max(2, 3000 / dtype.BlockSize)),
            _ => random.Next(1, 40),
        };
        long[] shape = split switch
        {
            Split.Rows => [ranks * random.Next(1, 30), groups * dtype.BlockLength],
            Split.Experts => [ranks * random.Next(1, 4), random.Next(1, 20), groups * dtype.BlockLength],
            Split.LongSegments => [random.Next(1, 4), ranks * groups * dtype.BlockLength],
            _ => [random.Next(2, 60), ranks * groups * dtype.BlockLength],
        };
        var bytes = new byte[dtype.ByteCount(new Shape(shape).ElementCount)];
        random.NextBytes(bytes);
        RecordingSource? source = null;
        await using var checkpoint = Open(dtype, shape, bytes, inner => source = new RecordingSource(inner));
        Device device = random.Next(2) == 0 ? new HostDevice() : new LateDevice { SlotBytes = random.Next(4000, 500_000) };
        var dimension = split < Split.LongSegments ? 0 : 1;
        var share = shape[dimension] / ranks;
        var plan = LoadPlanner.Plan(
            checkpoint,
            new LoadOptions { Device = device, ExactSlices = exactly, Lanes = random.Next(1, 3) },
            _ => true,
            _ => new TensorSlice(dimension, rank * share, share));
        using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            var loaded = device.IsHost ? model["t"].AsSpan<byte>().ToArray() : LateDevice.Read(model["t"]);
            Assert.True(Cut(bytes, shape[0], dimension, ranks, rank).AsSpan().SequenceEqual(loaded), $"{dtype.Name} {split} differs.");
        }

        var read = source!.BytesRead;
        Assert.Equal(plan.BytesToRead, read);
        Assert.Equal(bytes.Length / ranks, plan.BytesNeeded);
        Assert.Equal(plan.BytesToRead - plan.BytesNeeded, plan.BytesBetweenSegments);
        if (exactly || split != Split.ShortSegments)
        {
            Assert.Equal(bytes.Length / ranks, read);
        }
        else
        {
            Assert.InRange(read, bytes.Length / ranks, bytes.Length);
            Assert.InRange(read + (source.Reads.Count * ReadCostBytes), 1, (bytes.Length / ranks) + (shape[0] * ReadCostBytes));
        }
    }

    private static async Task LoadCutPartAsync(Random random)
    {
        var dtype = random.GetItems([.. DType.All.Where(dtype => dtype.BlockLength > 1)], 1)[0];
        long[] shape = [random.Next(1, 40), random.Next(1, 12) * (long)dtype.BlockLength];
        var start = random.NextInt64(shape[1]);
        var length = random.NextInt64(1, shape[1] - start + 1);
        var bytes = new byte[dtype.ByteCount(shape[0] * shape[1])];
        RecordingSource? source = null;
        await using var checkpoint = Open(dtype, shape, bytes, inner => source = new RecordingSource(inner));
        var plan = LoadPlanner.Plan(
            checkpoint,
            new LoadOptions { Device = new HostDevice(), DType = DType.F32, ExactSlices = true },
            _ => true,
            _ => new TensorSlice(1, start, length));
        using var model = await new CheckpointLoader().LoadAsync(plan);
        var blocks = ((start + length - 1) / dtype.BlockLength) - (start / dtype.BlockLength) + 1;
        Assert.Equal((shape[0] * blocks * dtype.BlockSize, plan.BytesToRead), (source!.BytesRead, source.BytesRead));
    }

    private static Checkpoint Open(DType dtype, long[] shape, byte[] bytes, Func<IByteSource, IByteSource> wrap)
    {
        var file = new CheckpointFile("t", "t", "test", wrap(new MemorySource(bytes, "t")));
        return Checkpoint.OfTensors(file, [new TensorInfo("t", dtype, new Shape(shape), file, 0, bytes.Length)]);
    }

    // By the definition of row-major order, in bytes: each row of the outermost dimension is as long as the others.
    private static byte[] Cut(byte[] bytes, long rows, int dimension, int ranks, int rank)
    {
        var share = bytes.Length / ranks;
        if (dimension == 0)
        {
            return bytes[(rank * share)..((rank + 1) * share)];
        }

        var (row, part) = (bytes.Length / (int)rows, share / (int)rows);
        return [.. Enumerable.Range(0, (int)rows).SelectMany(i => bytes.Skip((i * row) + (rank * part)).Take(part))];
    }
}
