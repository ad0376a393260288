using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Statistics of tensors that are loaded, where they are: those of the file, to the bit.</summary>
public sealed class LoadedStatisticsTests
{
    public static TheoryData<DType> Stored => new(DType.All.Where(dtype => dtype.IsSafetensors));

    [Theory]
    [MemberData(nameof(Stored))]
    public async Task Every_dtype_has_the_statistics_of_the_file(DType dtype)
    {
        var sample = Sample.Make(
            (int)dtype,
            ("long", dtype, [2, (4096 * 5) + (4L * dtype.BlockLength)]),
            ("short", dtype, [4L * dtype.BlockLength]),
            ("empty", dtype, [0, 4]));
        await AssertSameAsync(sample);
    }

    [Fact]
    public async Task More_than_a_stretch_and_more_than_the_scratch_are_merged_as_those_of_the_file()
    {
        await AssertSameAsync(Sample.Make(7, ("a", DType.U8, [33 << 20]), ("b", DType.F16, [9 << 20]), ("scalar", DType.F64, [])));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.I64)]
    [InlineData(DType.C32)]
    [InlineData(DType.C128)]
    public async Task Strides_change_nothing(DType dtype)
    {
        var bytes = new byte[7 * 40 * 60 * dtype.BlockSize];
        new Random(3).NextBytes(bytes);
        foreach (var device in Devices())
        {
            using var host = Tensor.FromValues<byte>(dtype, new Shape(7, 40, 60), bytes);
            using var whole = host.To(device);
            using var part = whole.Narrow(1, 3, 30);
            using var turned = part.Transpose(0, 2);
            foreach (var tensor in new[] { part, turned })
            {
                var elements = TensorBytes.Read(tensor);
                using var side = Tensor.FromValues<byte>(dtype, tensor.Shape, elements);
                var expected = await LoadedStatistics.ComputeAsync(side);
                var before = device.LiveAllocations;
                Assert.Equal(expected, await LoadedStatistics.ComputeAsync(tensor));
                Assert.Equal(before, device.LiveAllocations);
                AssertExtremes(dtype, elements, expected);
            }
        }
    }

    [Fact]
    public async Task A_view_that_is_not_aligned_to_its_values_is_summed_up_too()
    {
        float[] values = [.. Enumerable.Range(0, 5000).Select(i => i / 3f)];
        using var memory = HostDevice.Shared.Allocate(4 * 5000 + 2);
        MemoryMarshal.AsBytes<float>(values).CopyTo(((HostMemory)memory).AsSpan(2, 4 * 5000));
        using var tensor = new Tensor(memory, DType.F32, new Shape(5000), byteOffset: 2);
        using var aligned = Tensor.FromValues<float>(DType.F32, new Shape(5000), values);
        var statistics = await LoadedStatistics.ComputeAsync(tensor);
        Assert.Equal(await LoadedStatistics.ComputeAsync(aligned), statistics);
        Assert.Equal(4999 / 3f, statistics.Maximum!.Value.Number);
    }

    [Fact]
    public async Task A_disposed_tensor_and_one_without_values_are_refused()
    {
        var tensor = Tensor.Empty(DType.F32, new Shape(3));
        tensor.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => LoadedStatistics.ComputeAsync(tensor));
        using var meta = Tensor.Empty(DType.F32, new Shape(3), MetaDevice.Shared);
        await Assert.ThrowsAsync<NotSupportedException>(() => LoadedStatistics.ComputeAsync(meta));
    }

    [Fact]
    public async Task Cancellation_ends_it()
    {
        using var tensor = Tensor.FromValues<float>(DType.F32, new Shape(3), [1, 2, 3]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => LoadedStatistics.ComputeAsync(tensor, new CancellationToken(canceled: true)));
    }

    private static Device[] Devices() => [new HostDevice(), new LateDevice(), new LateDevice { Lateness = Lateness.WhenWaitedFor }];

    private static async Task AssertSameAsync(Sample sample)
    {
        await using var checkpoint = await sample.OpenAsync();
        var expected = await StatisticsReader.ReadAsync(checkpoint);
        foreach (var device in Devices())
        {
            var loader = new CheckpointLoader();
            await using (var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device })))
            {
                var before = device.LiveAllocations;
                foreach (var (tensor, values) in expected)
                {
                    Assert.Equal(values, await LoadedStatistics.ComputeAsync(model[tensor.Name]));
                }

                Assert.Equal(before, device.LiveAllocations);
            }

            Assert.Equal(0, device.LiveAllocations);
            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    // Of the elements themselves, so that the two ways to the statistics are not all that is compared.
    private static void AssertExtremes(DType dtype, byte[] elements, ValueStatistics statistics)
    {
        if (dtype == DType.I64)
        {
            var integers = MemoryMarshal.Cast<byte, long>(elements).ToArray();
            Assert.Equal(((Int128)integers.Min(), (Int128)integers.Max()), (statistics.Minimum!.Value.Exact, statistics.Maximum!.Value.Exact));
        }
        else if (dtype == DType.F32)
        {
            var finite = MemoryMarshal.Cast<byte, float>(elements).ToArray().Where(float.IsFinite).ToArray();
            Assert.Equal((finite.Length, finite.Min(), finite.Max()), (statistics.FiniteCount, statistics.Minimum!.Value.Number, statistics.Maximum!.Value.Number));
        }
    }
}
