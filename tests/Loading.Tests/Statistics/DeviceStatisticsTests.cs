using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Statistics that a device computes of what is staged for it: the host's, to the bit.</summary>
public sealed class DeviceStatisticsTests
{
    public static TheoryData<DType> Stored => new(DType.All.Where(dtype => dtype.IsSafetensors));

    public static TheoryData<DType> Blocks => new(DType.All.Where(dtype => dtype.IsBlock && GgufTypes.TryGetId(dtype, out _)));

    [Theory]
    [MemberData(nameof(Stored))]
    public async Task Every_dtype_has_the_bits_of_the_host(DType dtype)
    {
        // Of the widest types a stretch and some more.
        var seam = (dtype.BlockSize >= 8 ? 16L : 1L) * TensorPieces.ElementsPerPiece(dtype);
        var sample = Sample.Make(
            (int)dtype, ("long", dtype, [seam + (4096 * 3) + (4L * dtype.BlockLength)]), ("short", dtype, [4L * dtype.BlockLength]), ("empty", dtype, [0, 4]));
        await using var checkpoint = await sample.OpenAsync();
        await AssertSameAsync(checkpoint);
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public async Task Every_block_type_has_the_bits_of_the_host(DType dtype)
    {
        Assert.True(GgufTypes.TryGetId(dtype, out var id));
        var blocks = new byte[(3 * 4096 / dtype.BlockLength * dtype.BlockSize) + dtype.BlockSize];
        new Random((int)dtype).NextBytes(blocks);
        await using var checkpoint = await Checkpoint.OpenAsync(
            new MemorySource(new GgufBuilder().Tensor("t", id, [(ulong)(blocks.Length / dtype.BlockSize * dtype.BlockLength)], blocks).ToBytes()));
        await AssertSameAsync(checkpoint);
    }

    [Fact]
    public async Task A_stretch_whose_values_fill_more_than_the_scratch_is_summed_up_in_parts()
    {
        // As floats 68 MiB, and 32 lie on the device at a time.
        var sample = Sample.Make(3, ("a", DType.U8, [17 << 20]), ("b", DType.I64, [1 << 20]));
        await using var checkpoint = await sample.OpenAsync();
        var device = await AssertSameAsync(checkpoint);
        Assert.InRange(device.PeakBytes, 1, StagingLayout.DefaultLanes * (32L << 20));
        Assert.InRange(device.PeakRented, 1, StagingLayout.DefaultLanes);
    }

    [Fact]
    public async Task A_view_is_staged_in_the_order_of_its_elements()
    {
        var made = ViewSample.Make(5, DType.F32, 300, 310);
        await using var checkpoint = made.Open(new ViewShape("turned", [310, 300], [1, 310], 0));
        await AssertSameAsync(checkpoint);
    }

    [Fact]
    public async Task Values_that_are_not_finite_are_found_on_the_device_and_named_as_before()
    {
        var halves = new byte[2 * 9000];
        (halves[2 * 8000], halves[(2 * 8000) + 1]) = (0x01, 0x7E);
        await using var checkpoint = await Sample.Of(new SafetensorsBuilder().Add("a", "F16", [9000], halves).ToBytes()).OpenAsync();
        var here = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        var there = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint, device: new LateDevice()));
        Assert.Equal((here.Message, here.Offset), (there.Message, there.Offset));
    }

    [Fact]
    public async Task Whatever_fails_gives_everything_back()
    {
        var sample = Sample.Make(10, ("a", DType.F32, [10_000]), ("b", DType.F16, [50_000]));
        await using (var failing = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, sample.File.Length - 1)))
        {
            var device = new LateDevice();
            var unreadable = await Assert.ThrowsAsync<IOException>(() => StatisticsReader.ReadAsync(failing, device: device));
            Assert.Contains("tensor 'b' could not be read", unreadable.Message, StringComparison.Ordinal);
            AssertLeftNothing(device);
        }

        await using var checkpoint = await sample.OpenAsync();
        var full = new LateDevice { FailingAllocation = 1 };
        await Assert.ThrowsAsync<DeviceMemoryException>(() => StatisticsReader.ReadAsync(checkpoint, device: full));
        AssertLeftNothing(full);

        var stopped = new LateDevice();
        using var stop = new CancellationTokenSource();
        var progress = new StoppingProgress(stop);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => StatisticsReader.ReadAsync(checkpoint, progress: progress, device: stopped, cancellationToken: stop.Token));
        AssertLeftNothing(stopped);
    }

    [Fact]
    public async Task The_meta_device_computes_nothing()
    {
        var sample = Sample.Make(1, ("a", DType.F32, [10]));
        await using var checkpoint = await sample.OpenAsync();
        await Assert.ThrowsAsync<NotSupportedException>(() => StatisticsReader.ReadAsync(checkpoint, device: MetaDevice.Shared));
    }

    private static async Task<LateDevice> AssertSameAsync(Checkpoint checkpoint)
    {
        var device = new LateDevice();
        var expected = await StatisticsReader.ReadAsync(checkpoint);
        var progress = new RecordedProgress();
        var actual = await StatisticsReader.ReadAsync(checkpoint, progress: progress, device: device);
        Assert.Equal(expected.AsEnumerable(), actual);
        AssertLeftNothing(device);
        Assert.Equal(checkpoint.Tensors.Sum(tensor => tensor.DataByteLength), progress.Reports[^1].BytesRead);
        return device;
    }

    private static void AssertLeftNothing(LateDevice device)
    {
        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
        Assert.Empty(device.Violations);
    }

    private sealed class StoppingProgress(CancellationTokenSource stop) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => stop.Cancel();
    }
}
