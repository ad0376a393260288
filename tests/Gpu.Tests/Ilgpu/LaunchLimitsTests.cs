using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Work beyond what one launch does, with launches so small that there are many: no seam between them.</summary>
[Trait("Area", "Devices")]
public abstract class LaunchLimitsTests : IDisposable
{
    private readonly IlgpuDevice _device;

    protected LaunchLimitsTests(TestDevice kind)
    {
        var shared = (IlgpuDevice)TestDevices.Get(kind);
        _device = new IlgpuDevice(shared.Accelerator, null, shared.Id)
        {
            LaunchLock = shared.LaunchLock,
            Limits = new LaunchLimits { Threads = 7, Groups = 1, Chunks = 3, OddChunks = 2 },
        };
    }

    public static TheoryData<DType, DType, int> Decodings => new()
    {
        // By elements, of whole words and of others, and by blocks, of whole words and of others.
        { DType.BF16, DType.F32, 5003 },
        { DType.F8_E4M3, DType.F16, 5003 },
        { DType.F32, DType.F8_E5M2, 5003 },
        { DType.Q4_K, DType.BF16, 50 * 256 },
        { DType.Q4_0, DType.F32, 401 * 32 },
        { DType.IQ2_XXS, DType.F32, 50 * 256 },
    };

    [DeviceTheory]
    [MemberData(nameof(Decodings))]
    public void Values_are_decoded_to_the_last(DType stored, DType target, int count)
    {
        var bytes = DeviceBytes.Random(count, stored.ByteCount(count));
        var expected = new byte[target.ByteCount(count)];
        Codecs.Of(stored).DecodeScalar(bytes, expected, target);
        using (var memory = DeviceBytes.Put(_device, new byte[expected.Length]))
        {
            using (var stream = _device.CreateStream())
            {
                stream.Place(bytes, stored, memory, 0, target);
                stream.Synchronize();
            }

            Assert.Equal(expected, DeviceBytes.Get(memory));
        }

        CheckNothingStays();
    }

    [DeviceTheory]
    [InlineData(DType.U8)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    public void Strided_copies_and_fills_have_no_seam(DType dtype)
    {
        var shape = new Shape(6, 5, 11);
        using (var host = Tensor.FromValues<byte>(dtype, shape, DeviceBytes.Random(1, dtype.ByteCount(shape.ElementCount))))
        using (var source = host.To(_device))
        using (var turned = source.Transpose(0, 2))
        using (var copy = turned.To(dtype))
        using (var hostTurned = host.Transpose(0, 2))
        using (var expected = hostTurned.To(dtype))
        {
            Assert.Equal(expected.AsSpan<byte>().ToArray(), DeviceBytes.Values(copy));

            using var part = copy.Narrow(2, 1, 3);
            using var expectedPart = expected.Narrow(2, 1, 3);
            part.Fill(3);
            expectedPart.Fill(3);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), DeviceBytes.Values(copy));

            copy.Fill(1);
            expected.Fill(1);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), DeviceBytes.Values(copy));
        }

        CheckNothingStays();
    }

    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E4M3)]
    public void Random_values_go_on_where_the_last_launch_stopped(DType dtype)
    {
        using (var tensor = Tensor.Empty(dtype, new Shape(2003), _device))
        {
            tensor.FillUniform(9, -2, 3);
            var singles = Enumerable.Range(0, 2003).Select(i => UniformOracle.Value(9, i, -2, 3)).ToArray();
            var expected = new byte[tensor.ByteLength];
            if (dtype == DType.F32)
            {
                MemoryMarshal.AsBytes(singles.AsSpan()).CopyTo(expected);
            }
            else
            {
                Codecs.Of(DType.F32).DecodeScalar(MemoryMarshal.AsBytes(singles.AsSpan()), expected, dtype);
            }

            Assert.Equal(expected, DeviceBytes.Values(tensor));
        }

        CheckNothingStays();
    }

    [DeviceTheory]
    [InlineData(2, 0)]
    [InlineData(2, 6)]
    [InlineData(2, 3)]
    [InlineData(4, 4)]
    [InlineData(4, 1)]
    [InlineData(8, 8)]
    [InlineData(8, 2)]
    public void Every_word_is_swapped_once(int size, int offset)
    {
        // Words of sixteen bytes on either side of which there are others.
        var bytes = DeviceBytes.Random(size, 1024);
        var count = (1000 - offset) / size;
        var expected = bytes.ToArray();
        for (var i = 0; i < count; i++)
        {
            expected.AsSpan(offset + (i * size), size).Reverse();
        }

        using (var memory = DeviceBytes.Put(_device, bytes))
        {
            using (var stream = _device.CreateStream())
            {
                stream.SwapBytes(memory, offset, count, size);
                stream.Synchronize();
            }

            Assert.Equal(expected, DeviceBytes.Get(memory));
        }

        CheckNothingStays();
    }

    [DeviceFact]
    public void Sums_are_of_their_own_chunks()
    {
        // Eight chunks and a part: odd ones in runs of three, across launches, and at the end.
        var odd = new[] { 1, 2, 3, 4, 6, 8 };
        double[] values = [.. Enumerable.Range(0, (8 * 4096) + 99).Select(i => i % 4096 == 5 && odd.Contains(i / 4096) ? double.NaN : (i / 4096) + (i % 37))];
        using (var host = Tensor.FromValues<double>(DType.F64, new Shape(values.Length), values))
        using (var tensor = host.To(_device))
        using (var stream = _device.CreateStream())
        {
            var chunks = new Moments[9];
            stream.Summarise(tensor.Memory, 0, DType.F64, values.Length, chunks);
            Assert.Equal(SummaryOracle.OfChunks(values).Select(SummaryOracle.Text), chunks.Select(SummaryOracle.Text));
        }

        CheckNothingStays();
    }

    public void Dispose()
    {
        _device.Dispose();
        GC.SuppressFinalize(this);
    }

    private void CheckNothingStays() => Assert.Equal((0, 0L), (_device.LiveAllocations, _device.LiveBytes));
}

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorLaunchLimitsTests() : LaunchLimitsTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLLaunchLimitsTests() : LaunchLimitsTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaLaunchLimitsTests() : LaunchLimitsTests(TestDevice.Cuda);
