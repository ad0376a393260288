using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What <see cref="DeviceStream.Summarise"/> does on every device: the same bits as the definition.</summary>
[Trait("Area", "Devices")]
public abstract class SummariseTests(TestDevice kind)
{
    public static TheoryData<int> Lengths => [0, 1, 31, 32, 33, 127, 128, 129, 4095, 4096, 4097, (3 * 4096) + 77];

    private Device Device => TestDevices.Get(kind);

    [DeviceTheory]
    [MemberData(nameof(Lengths))]
    public void Every_length_has_the_bits_of_the_definition(int length)
    {
        var random = new Random(length);
        AssertSums([.. Enumerable.Range(0, length).Select(_ => (float)((random.NextDouble() - 0.4) * Math.Pow(10, random.Next(-6, 6))))]);
        AssertSums([.. Enumerable.Range(0, length).Select(_ => (random.NextDouble() - 0.6) * Math.Pow(10, random.Next(-60, 60)))]);
    }

    [DeviceFact]
    public void Values_that_are_exact_have_the_moments_of_decimals()
    {
        // Sixteenths: their sums and squares are exact in doubles too.
        decimal[] values = [.. Enumerable.Range(0, 1000).Select(i => ((i * 7919 % 1601) - 800) / 16m)];
        var moments = Summarise([.. values.Select(value => (float)value)])[0];
        var mean = values.Sum() / values.Length;
        Assert.Equal((1000L, (double)values.Min(), (double)values.Max()), (moments.Finite, moments.Minimum, moments.Maximum));
        Assert.Equal((double)mean, moments.Mean, 1e-12);
        var squares = (double)values.Sum(value => (value - mean) * (value - mean));
        Assert.Equal(squares, moments.SquaredDeviations, squares * 1e-12);
    }

    [DeviceFact]
    public void Zeros_of_both_signs_and_subnormals_are_values()
    {
        float[] values = [-0f, 0f, float.Epsilon, -float.Epsilon, BitConverter.Int32BitsToSingle(0x007FFFFF), -0f];
        AssertSums(values);
        AssertSums(Repeat(values, 4099));
        AssertSums(Repeat([-0f], 64));
        AssertSums(Repeat([-0.0, 0.0, double.Epsilon, -double.Epsilon, BitConverter.Int64BitsToDouble(0x000F_FFFF_FFFF_FFFF)], 4099));
    }

    [DeviceFact]
    public void What_is_not_finite_is_counted_in_its_chunk_and_left_out_of_the_rest()
    {
        foreach (var position in new[] { 0, 31, 4095, 4096, (2 * 4096) + 5, (3 * 4096) + 9 })
        {
            foreach (var odd in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
            {
                float[] values = [.. Enumerable.Range(0, (3 * 4096) + 10).Select(i => (i % 1000) / 7f)];
                values[position] = odd;
                AssertSums(values);
                AssertSums(Array.ConvertAll(values, value => (double)value));
            }
        }

        AssertSums(Repeat([float.NaN, float.PositiveInfinity, float.NegativeInfinity], 9000));
        // The infinities would add up to no number, and hide in a sum that was taken for one.
        AssertSums(Repeat([1, double.PositiveInfinity, double.NegativeInfinity, 2], 4100));
    }

    [DeviceFact]
    public void Sums_beyond_the_doubles_have_means()
    {
        AssertSums(Repeat([double.MaxValue], 4100));
        AssertSums(Repeat([double.MaxValue, -double.MaxValue], 4100));
        AssertSums(Repeat([1e200, -3e200, 5], 4100));
        AssertSums(Repeat([float.MaxValue, float.MinValue, float.MaxValue], 5000));
    }

    [DeviceFact]
    public void Many_chunks_that_are_not_finite_are_summed_up_in_runs()
    {
        // Runs of the longest length, one more, a whole chunk between them, and one at the end that is not full.
        double[] values = [.. Enumerable.Range(0, (134 * 4096) + 3).Select(i => i % 4096 == 1 && i / 4096 != 131 ? double.NaN : i % 37)];
        values[^1] = double.NegativeInfinity;
        AssertSums(values);
    }

    [DeviceFact]
    public void Products_are_rounded_before_they_are_added()
    {
        // The squares of these need more bits than a double has: a fused multiply-add would give other sums.
        var random = new Random(5);
        AssertSums([.. Enumerable.Range(0, 20_000).Select(_ => (double)random.NextInt64())]);
    }

    [DeviceFact]
    public void A_part_of_the_memory_is_summed_up_and_nothing_is_changed()
    {
        float[] values = [.. Enumerable.Range(0, 10_000).Select(i => i == 5000 ? float.NaN : i / 3f)];
        using var host = Tensor.FromValues<float>(DType.F32, new Shape(values.Length), values);
        using var tensor = host.To(Device);
        using var stream = Device.CreateStream();
        var chunks = new Moments[2];
        stream.Summarise(tensor.Memory, 4 * 777, DType.F32, 4096 + 100, chunks);
        Assert.Equal(
            SummaryOracle.OfChunks([.. values.Skip(777).Take(4096 + 100).Select(value => (double)value)]).Select(SummaryOracle.Text),
            chunks.Select(SummaryOracle.Text));
        using var back = tensor.To(HostDevice.Shared);
        Assert.True(MemoryMarshal.AsBytes(back.AsSpan<float>()).SequenceEqual(MemoryMarshal.AsBytes<float>(values)));
    }

    [DeviceFact]
    public void Wrong_arguments_are_refused_before_anything_is_done()
    {
        using var memory = Device.Allocate(4100);
        using var stream = Device.CreateStream();
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Summarise(memory, 0, DType.F32, 1026, new Moments[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Summarise(memory, 4104, DType.F32, 0, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Summarise(memory, -4, DType.F32, 1, new Moments[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Summarise(memory, 0, DType.F32, -1, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Summarise(memory, 0, DType.F64, long.MaxValue, []));
        Assert.Throws<ArgumentException>(() => stream.Summarise(memory, 2, DType.F32, 1, new Moments[1]));
        Assert.Throws<ArgumentException>(() => stream.Summarise(memory, 4, DType.F64, 1, new Moments[1]));
        Assert.Throws<ArgumentException>(() => stream.Summarise(memory, 0, DType.F16, 1, new Moments[1]));
        Assert.Throws<ArgumentException>(() => stream.Summarise(memory, 0, DType.F32, 1, new Moments[2]));
        Assert.Throws<ArgumentException>(() => stream.Summarise(memory, 0, DType.F32, 1, []));
        using var foreign = MetaDevice.Shared.Allocate(8);
        Assert.Throws<ArgumentException>(() => stream.Summarise(foreign, 0, DType.F32, 1, new Moments[1]));
        stream.Summarise(memory, 4100, DType.F32, 0, []);
    }

    private void AssertSums(float[] values) =>
        Assert.Equal(SummaryOracle.OfChunks(Array.ConvertAll(values, value => (double)value)).Select(SummaryOracle.Text), Summarise(values).Select(SummaryOracle.Text));

    private void AssertSums(double[] values) =>
        Assert.Equal(SummaryOracle.OfChunks(values).Select(SummaryOracle.Text), Summarise(values).Select(SummaryOracle.Text));

    private static T[] Repeat<T>(T[] values, int length) => [.. Enumerable.Range(0, length).Select(i => values[i % values.Length])];

    private Moments[] Summarise<T>(T[] values)
        where T : unmanaged
    {
        var dtype = typeof(T) == typeof(float) ? DType.F32 : DType.F64;
        var chunks = new Moments[Moments.CountChunks(values.Length)];
        using var host = Tensor.FromValues<T>(dtype, new Shape(values.Length), values);
        using var tensor = host.To(Device);
        using var stream = Device.CreateStream();
        stream.Summarise(tensor.Memory, 0, dtype, values.Length, chunks);
        return chunks;
    }
}

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorSummariseTests() : SummariseTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLSummariseTests() : SummariseTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaSummariseTests() : SummariseTests(TestDevice.Cuda);
