using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class SlicedLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    private static readonly DType[] Types =
        [DType.BOOL, DType.F4, DType.F6_E3M2, DType.U8, DType.F16, DType.BF16, DType.F32, DType.C64, DType.F64, DType.I64];

    [Fact]
    public void The_parts_of_all_ranks_make_the_whole_through_any_shape_dtype_device_slot_and_read()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            ConcatenateAsync(new Random(seed), seed).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(200));
    }

    // Segments of every way to read them: moved together in a slot, gathered, and straight into place.
    [Theory]
    [InlineData(2, 0, RunKind.InPlace, false)]
    [InlineData(8, 0, RunKind.InPlace, false)]
    [InlineData(1, 1, RunKind.InPlace, false)]
    [InlineData(4, 1, RunKind.InPlace, false)]
    [InlineData(8, 1, RunKind.Gathered, false)]
    [InlineData(4, 2, RunKind.Sieved, false)]
    [InlineData(2, 1, RunKind.Gathered, true)]
    [InlineData(4, 1, RunKind.Gathered, true)]
    [InlineData(8, 1, RunKind.Gathered, true)]
    [InlineData(2, 2, RunKind.Sieved, true)]
    public async Task Long_segments_are_read_apart_and_short_ones_together(int ranks, int dimension, RunKind kind, bool converts)
    {
        // A segment of dimension 1 has 384 KiB / ranks; of dimension 2 at most 48 bytes.
        var sample = Sample.Make(ranks, ("t", DType.F16, [24, 4096, 48]));
        var parts = new List<byte[]>();
        for (var rank = 0; rank < ranks; rank++)
        {
            RecordingSource? source = null;
            await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
            var opened = source!.BytesRead;
            var device = new HostDevice();
            var options = new LoadOptions { Device = device, DType = converts ? DType.F32 : null, Lanes = 2 };
            var plan = LoadPlanner.Plan(checkpoint, options, _ => true, tensor => Share(tensor, dimension, ranks, rank));
            Assert.Contains(plan.Runs, run => run.Kind == kind);
            await using (var model = await new CheckpointLoader().LoadAsync(plan))
            {
                parts.Add(model["t"].AsSpan<byte>().ToArray());
            }

            const long all = 24 * 4096 * 48 * 2;
            var read = source.BytesRead - opened;
            Assert.Equal(plan.BytesToRead, read);
            Assert.Equal(all / ranks, plan.BytesNeeded);
            Assert.InRange(read, all / ranks, kind == RunKind.Sieved ? all : (long)(all / ranks * 1.02));
            if (kind != RunKind.Sieved)
            {
                Assert.Equal(all / ranks, read);
            }

            Assert.Equal(0, device.LiveAllocations);
        }

        var whole = Decode(sample.Tensors["t"], DType.F16, converts ? DType.F32 : DType.F16);
        Assert.Equal(whole, Concatenate(parts, [24, 4096, 48], dimension, converts ? 4 : 2));
    }

    [Fact]
    public async Task Short_segments_far_apart_are_gathered_into_full_slots()
    {
        // 1 KiB of every 256 KiB.
        var sample = Sample.Make(3, ("t", DType.U8, [40, 256, 1024]));
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.Reads.Count;
        var plan = LoadPlanner.Plan(
            checkpoint, new LoadOptions { Device = new HostDevice() }, _ => true, _ => new TensorSlice(1, 7, 1));
        Assert.Equal(
            new ReadRun(0, checkpoint["t"].Offset + (7 * 1024), 40 << 10, 40 << 10, 0, 1, RunKind.Gathered), Assert.Single(plan.Runs));
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.Equal(40, source.Reads.Count - opened);
        Assert.Equal(
            Enumerable.Range(0, 40).SelectMany(i => sample.Tensors["t"].Skip((i * 256 * 1024) + (7 * 1024)).Take(1024)),
            model["t"].AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task A_device_gets_one_piece_for_each_slot_of_sieved_segments()
    {
        // 100 bytes of every 400, slots of 10,000: 25 segments end at 9,700.
        var sample = Sample.Make(3, ("t", DType.U8, [100, 4, 100]));
        await using var checkpoint = await sample.OpenAsync();
        var device = new LateDevice { SlotBytes = 10_000, Lateness = Lateness.WhenWaitedFor };
        var plan = LoadPlanner.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 1 }, _ => true, _ => new TensorSlice(1, 2, 1));
        Assert.Equal(
            Enumerable.Range(0, 4).Select(i => (9700, 2500, RunKind.Sieved, i * 2500L)),
            plan.Runs.Select((run, i) => (run.ByteLength, run.KeptByteLength, run.Kind, plan.Placements[i].DestinationOffset)));
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Equal(
                Enumerable.Range(0, 100).SelectMany(i => sample.Tensors["t"].Skip((i * 400) + 200).Take(100)), LateDevice.Read(model["t"]));
        }

        Assert.Empty(device.Violations);
    }

    [Fact]
    public async Task Slices_load_again_into_the_same_memory_and_stream()
    {
        var sample = Sample.Make(5, ("a", DType.F32, [64, 96]), ("none", DType.F32, [4, 4]), ("b", DType.BF16, [8, 4, 1000]));
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        foreach (var device in new Device[] { new HostDevice(), new LateDevice { SlotBytes = 700 } })
        {
            var plan = LoadPlanner.Plan(
                checkpoint,
                new LoadOptions { Device = device, StreamWindowBytes = 10 },
                _ => true,
                tensor => tensor.Name == "none" ? new TensorSlice(0, 4, 0) : new TensorSlice(1, 1, 2));
            var progress = new RecordedProgress();
            await using (var model = await loader.LoadAsync(plan, progress))
            {
                progress.AssertComplete(plan);
                Assert.Equal([new Shape(64, 2), new Shape(0, 4), new Shape(8, 2, 1000)], plan.Tensors.Select(tensor => tensor.Shape));
                AssertParts(sample, model.ToArray());
                var statistics = await loader.LoadIntoAsync(plan, model);
                Assert.Equal(plan.BytesToRead, statistics.BytesRead);
                AssertParts(sample, model.ToArray());
            }

            var streamed = new List<LoadedTensor>();
            await foreach (var tensor in loader.StreamAsync(plan))
            {
                streamed.Add(tensor);
            }

            AssertParts(sample, streamed);
            streamed.ForEach(tensor => tensor.Tensor.Dispose());
            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public async Task A_slice_of_the_whole_is_none_and_one_outside_is_refused()
    {
        await using var checkpoint = await Sample.Make(1, ("t", DType.F32, [6, 4])).OpenAsync();
        var whole = LoadPlanner.Plan(checkpoint, LoadOptions.Default, _ => true, _ => new TensorSlice(1, 0, 4));
        Assert.Null(whole.Tensors[0].Slice);
        Assert.Equal(0, whole.SlicedCount);
        TensorSlice[] outside = [new(-1, 0, 1), new(2, 0, 1), new(0, -1, 2), new(0, 0, 7), new(1, 3, 2), new(1, 1, -1), new(0, long.MaxValue, 1)];
        Assert.All(outside, slice => Assert.Throws<ArgumentOutOfRangeException>(
            () => LoadPlanner.Plan(checkpoint, LoadOptions.Default, _ => true, _ => slice)));
    }

    [Fact]
    public async Task A_slice_that_cuts_a_byte_or_a_block_is_refused_by_name()
    {
        await using var halves = await Sample.Make(1, ("half", DType.F4, [4, 6])).OpenAsync();
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => LoadPlanner.Plan(halves, LoadOptions.Default, _ => true, _ => new TensorSlice(1, 1, 2)));
        Assert.Equal(("half", "slices within bytes of F4"), (error.Tensor, error.Feature));
        Assert.Contains("1 to 3 of dimension 1 of [4, 6] cuts a group of 2 elements of F4", error.Message, StringComparison.Ordinal);
        var file = new CheckpointFile("b", "b", "test", new MemorySource(new byte[4 * 2 * 18], "b"));
        await using var blocks = Checkpoint.OfTensors(file, [new TensorInfo("q", DType.Q4_0, new Shape(4, 64), file, 0, 144)]);
        Assert.Throws<UnsupportedCheckpointException>(
            () => LoadPlanner.Plan(blocks, LoadOptions.Default, _ => true, _ => new TensorSlice(1, 0, 16)));
        var plan = LoadPlanner.Plan(blocks, LoadOptions.Default, _ => true, _ => new TensorSlice(1, 32, 32));
        Assert.Equal((72L, new Shape(4, 32)), (plan.BytesNeeded, plan.Tensors[0].Shape));
    }

    [Fact]
    public async Task A_failed_read_of_a_segment_names_tensor_and_run()
    {
        var sample = Sample.Make(3, ("first", DType.U8, [10]), ("t", DType.U8, [40, 256, 1024]));
        await using var checkpoint = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, 1 << 20));
        var device = new HostDevice();
        var plan = LoadPlanner.Plan(checkpoint, new LoadOptions { Device = device }, _ => true, tensor => tensor.Name == "t" ? new TensorSlice(1, 7, 1) : null);
        var error = await Assert.ThrowsAsync<IOException>(() => new CheckpointLoader().LoadAsync(plan));
        Assert.Contains("tensor 't' could not be read", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Cancelling_ends_within_a_segment()
    {
        var sample = Sample.Make(3, ("t", DType.U8, [40, 256, 1024]));
        ActingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new ActingSource(inner));
        var device = new HostDevice();
        var plan = LoadPlanner.Plan(checkpoint, new LoadOptions { Device = device }, _ => true, _ => new TensorSlice(1, 7, 1));
        using var cancellation = new CancellationTokenSource();
        source!.Arm(5, cancellation.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new CheckpointLoader().LoadAsync(plan, null, cancellation.Token));
        Assert.Equal((0, 0), (source.ReadsAfterwards, (int)device.LiveAllocations));
    }

    // Plans of large checkpoints have millions of them.
    [Fact]
    public void A_run_stays_small() => Assert.Equal(32, Unsafe.SizeOf<ReadRun>());

    private static async Task ConcatenateAsync(Random random, int seed)
    {
        int[] worlds = [1, 2, 4, 8];
        var ranks = random.GetItems(worlds, 1)[0];
        var dimension = random.Next(3);
        var converts = random.Next(3) == 0;
        var dtype = converts ? random.GetItems([DType.F16, DType.BF16, DType.F32, DType.F64, DType.I64], 1)[0] : random.GetItems(Types, 1)[0];
        var shape = new long[random.Next(dimension + 1, 4)];
        for (var i = 0; i < shape.Length; i++)
        {
            shape[i] = random.Next(1, 40) * (i == shape.Length - 1 ? dtype.BlockLength : 1) * (i == dimension ? ranks : 1);
        }

        // Now and then segments of more than 64 KiB.
        if (random.Next(4) == 0 && dimension < shape.Length - 1)
        {
            shape[^1] = 40_000 * dtype.BlockLength;
            shape[0] = dimension == 0 ? ranks : Math.Min(shape[0], 2);
            shape[1] = dimension == 1 ? ranks * 2 : shape.Length == 2 ? shape[1] : Math.Min(shape[1], 2);
        }

        var sample = Sample.Make(seed, ("before", DType.U8, [random.Next(9)]), ("t", dtype, shape), ("after", DType.U8, [3]));
        var parts = new List<byte[]>();
        for (var rank = 0; rank < ranks; rank++)
        {
            var most = random.Next(1, 5000);
            var (isShort, isSynchronous) = (random.Next(3) == 0 && sample.File.Length < 200_000, random.Next(2) == 0);
            await using var checkpoint = await sample.OpenAsync(inner =>
            {
                inner = isShort ? new ShortReadSource(inner, most) : inner;
                return isSynchronous ? new SynchronousSource(inner) : inner;
            });
            Device device = random.Next(2) == 0
                ? new HostDevice()
                : new LateDevice { SlotBytes = random.Next(16, 100_000), Lateness = (Lateness)random.Next(2) };
            var options = new LoadOptions
            {
                Device = device,
                Lanes = random.Next(1, 4),
                StagingBytes = 64L << random.Next(10, 13),
                DType = converts ? DType.F32 : null,
                ConvertAllTypes = converts,
            };
            var plan = LoadPlanner.Plan(
                checkpoint, options, tensor => tensor.Name == "t" || !converts, tensor => tensor.Name == "t" ? Share(tensor, dimension, ranks, rank) : null);
            await using (var model = await new CheckpointLoader().LoadAsync(plan))
            {
                var tensor = model["t"];
                Assert.Equal(shape[dimension] / ranks, tensor.Shape[dimension]);
                parts.Add(device.IsHost ? tensor.AsSpan<byte>().ToArray() : LateDevice.Read(tensor));
            }

            Assert.Equal(0, device.LiveAllocations);
            Assert.Empty((device as LateDevice)?.Violations ?? []);
            if (dimension == 0)
            {
                Assert.Equal(plan.BytesNeeded, plan.BytesToRead);
            }
        }

        var target = converts ? DType.F32 : dtype;
        var whole = Decode(sample.Tensors["t"], dtype, target);
        // Bytes a group of elements that fills them; the innermost dimension counts groups.
        shape[^1] /= dtype.BlockLength;
        Assert.True(whole.AsSpan().SequenceEqual(Concatenate(parts, shape, dimension, target.BlockSize)));
    }

    private static TensorSlice Share(TensorInfo tensor, int dimension, int ranks, int rank)
    {
        var share = tensor.Shape[dimension] / ranks;
        return new TensorSlice(dimension, rank * share, share);
    }

    private static byte[] Decode(byte[] stored, DType dtype, DType target)
    {
        if (dtype == target)
        {
            return stored;
        }

        var codec = Codecs.Of(dtype);
        var values = new byte[stored.Length / dtype.BlockSize * target.BlockSize];
        codec.DecodeScalar(stored, values, target);
        return values;
    }

    // Element by element, by the definition of row-major order.
    private static byte[] Concatenate(List<byte[]> parts, long[] shape, int dimension, int unit)
    {
        var whole = new List<byte>();
        var inner = shape.Skip(dimension + 1).Aggregate(1L, (a, b) => a * b);
        var outer = shape.Take(dimension).Aggregate(1L, (a, b) => a * b);
        var share = shape[dimension] / parts.Count;
        for (long o = 0; o < outer; o++)
        {
            foreach (var part in parts)
            {
                whole.AddRange(part.AsSpan((int)(o * share * inner * unit), (int)(share * inner * unit)));
            }
        }

        return [.. whole];
    }

    private static void AssertParts(Sample sample, IReadOnlyCollection<LoadedTensor> tensors)
    {
        Assert.Equal(3, tensors.Count);
        var bytes = tensors.ToDictionary(
            tensor => tensor.Name,
            tensor => tensor.Tensor.Device.IsHost ? tensor.Tensor.AsSpan<byte>().ToArray() : LateDevice.Read(tensor.Tensor));
        Assert.Equal(Enumerable.Range(0, 64).SelectMany(row => sample.Tensors["a"].Skip((row * 384) + 4).Take(8)), bytes["a"]);
        Assert.Equal(Enumerable.Range(0, 8).SelectMany(row => sample.Tensors["b"].Skip((row * 8000) + 2000).Take(4000)), bytes["b"]);
        Assert.Empty(bytes["none"]);
    }
}
