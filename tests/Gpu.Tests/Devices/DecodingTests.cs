using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What is staged arrives in its place, decoded to the same bits as by the scalar body on the host.</summary>
[Trait("Area", "Devices")]
public abstract class DecodingTests(TestDevice kind)
{
    private const byte Guard = 0xA5;

    // Launches of the simulator take milliseconds a thread group; on the others there are more threads than one group has.
    private readonly int _units = kind == TestDevice.Simulator ? 37 : 301;

    // One of each kind of body: elements of each size, integers and floats that take a double, two values an element, less than a byte;
    // a block of 32 and of 256, with and without a table.
    private static readonly DType[] Kinds =
    [
        DType.U8, DType.BF16, DType.F32, DType.F64, DType.I64, DType.C64, DType.F4, DType.F6_E2M3,
        DType.Q4_0, DType.Q5_1, DType.Q6_K, DType.IQ2_XXS, DType.NVFP4,
    ];

    public static TheoryData<DType> StoredTypes => [.. Codecs.All.Select(codec => codec.DType)];

    [DeviceTheory]
    [MemberData(nameof(StoredTypes))]
    public void Place_gives_the_bits_of_the_scalar_body_and_leaves_what_is_around_them(DType stored)
    {
        var device = TestDevices.Get(kind);
        var bytes = Stored(stored, _units * Unit.Length + 5);
        foreach (var target in TargetsOf(stored))
        {
            var expected = Expected(bytes, stored, target);

            // Aligned for the widest store, and for no more than one element.
            foreach (var offset in new[] { 256, 256 + target.BlockSize })
            {
                var room = Enumerable.Repeat(Guard, offset + expected.Length + 33).ToArray();
                using var memory = DeviceBytes.Put(device, room);
                Run(device, bytes, (stream, staged) => stream.Place(staged, stored, memory, offset, target));
                expected.CopyTo(room.AsSpan(offset));
                var first = room.AsSpan().CommonPrefixLength(DeviceBytes.Get(memory));
                Assert.True(first == room.Length, $"{stored.Name} to {target.Name} at {offset} differs at byte {first} of {room.Length}.");
            }
        }
    }

    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.U8)]
    [InlineData(DType.Q4_K)]
    public void Place_of_every_short_length_writes_nothing_else(DType stored)
    {
        var device = TestDevices.Get(kind);
        for (var elements = 0; elements <= 9; elements++)
        {
            var bytes = Stored(stored, elements);
            var expected = Expected(bytes, stored, DType.F16);
            var room = Enumerable.Repeat(Guard, expected.Length + 16).ToArray();
            using var memory = DeviceBytes.Put(device, room);
            Run(device, bytes, (stream, staged) => stream.Place(staged, stored, memory, 8, DType.F16));
            expected.CopyTo(room.AsSpan(8));
            Assert.Equal(room, DeviceBytes.Get(memory));
        }
    }

    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.I8)]
    [InlineData(DType.Q8_0)]
    public void Place_of_one_type_into_itself_copies_the_bytes(DType dtype)
    {
        var device = TestDevices.Get(kind);
        var bytes = Stored(dtype, 101);
        using var memory = device.Allocate(bytes.Length + 7);
        Run(device, bytes, (stream, staged) => stream.Place(staged, dtype, memory, 7, dtype));
        Assert.Equal(bytes, DeviceBytes.Get(memory)[7..]);
    }

    [DeviceTheory]
    [InlineData(DType.F4, DType.F32, 3, 50)]
    [InlineData(DType.F6_E2M3, DType.BF16, 5, 30)]
    [InlineData(DType.Q4_0, DType.F32, 31, 34)]
    [InlineData(DType.Q6_K, DType.F16, 1, 511)]
    [InlineData(DType.Q6_K, DType.F8_E4M3, 0, 0)]
    public void PlacePart_gives_the_wanted_elements_only(DType stored, DType target, int skip, int count)
    {
        var device = TestDevices.Get(kind);
        var bytes = Stored(stored, 512);
        var expected = Expected(bytes, stored, target).AsSpan(skip * target.BlockSize, count * target.BlockSize).ToArray();
        var room = Enumerable.Repeat(Guard, expected.Length + 4).ToArray();
        using var memory = DeviceBytes.Put(device, room);
        Run(device, bytes, (stream, staged) => stream.PlacePart(staged, stored, skip, count, memory, target.BlockSize, target));
        room = Enumerable.Repeat(Guard, Math.Max(room.Length, target.BlockSize + expected.Length)).ToArray();
        expected.CopyTo(room.AsSpan(target.BlockSize));
        Assert.Equal(room[..(expected.Length + 4)], DeviceBytes.Get(memory));
    }

    [DeviceFact]
    public void Place_beyond_the_memory_is_refused_and_the_stream_goes_on()
    {
        var device = TestDevices.Get(kind);
        var bytes = Stored(DType.F32, 16);
        using var memory = device.Allocate(64);
        Run(device, bytes, (stream, staged) =>
        {
            Refuses(stream, staged, 4, DType.F32);
            Refuses(stream, staged, -4, DType.F32);
            Refuses(stream, staged, long.MaxValue - 8, DType.F32);
            Refuses(stream, staged, 40, DType.BF16);
            stream.Place(staged, DType.F32, memory, 0, DType.F32);
        });
        Assert.Equal(bytes, DeviceBytes.Get(memory));

        void Refuses(DeviceStream stream, ReadOnlySpan<byte> staged, long offset, DType target)
        {
            try
            {
                stream.Place(staged, DType.F32, memory, offset, target);
            }
            catch (ArgumentException)
            {
                return;
            }

            Assert.Fail($"Offset {offset} was not refused.");
        }
    }

    [DeviceFact]
    public void Slots_that_are_used_again_behind_a_fence_never_mix()
    {
        var device = TestDevices.Get(kind);
        const int slotBytes = 4096;
        const int rounds = 24;
        using var memory = device.Allocate(rounds * slotBytes * 2);
        using var pool = device.CreateStagingPool(slotBytes, 2);
        using var stream = device.CreateStream();
        var inFlight = new Queue<(IDisposable Slot, Fence Fence)>();
        var expected = new List<byte>();
        for (var i = 0; i < rounds; i++)
        {
            if (inFlight.Count == 2)
            {
                var (oldest, fence) = inFlight.Dequeue();
                fence.WaitAsync().AsTask().GetAwaiter().GetResult();
                Assert.True(fence.HasPassed);
                oldest.Dispose();
            }

            var slot = pool.Rent();
            var bytes = Stored(DType.BF16, slotBytes / 2, seed: i);
            bytes.CopyTo(slot.Memory.Span);
            expected.AddRange(Expected(bytes, DType.BF16, DType.F32));
            stream.Place(slot.Memory.Span[..slotBytes], DType.BF16, memory, (long)i * slotBytes * 2, DType.F32);
            inFlight.Enqueue((slot, stream.Record()));
        }

        stream.Synchronize();
        while (inFlight.TryDequeue(out var rest))
        {
            Assert.True(rest.Fence.HasPassed);
            rest.Slot.Dispose();
        }

        Assert.Equal(expected.ToArray(), DeviceBytes.Get(memory));
    }

    [DeviceFact]
    public void Streams_side_by_side_decode_with_the_same_kernels()
    {
        var device = TestDevices.Get(kind);
        var launches = kind == TestDevice.Simulator ? 3 : 60;
        var bytes = Stored(DType.Q4_0, 64 * 32);
        var expected = Expected(bytes, DType.Q4_0, DType.BF16);
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            using var memory = device.Allocate(expected.Length);
            for (var i = 0; i < launches; i++)
            {
                Run(device, bytes, (stream, staged) => stream.Place(staged, DType.Q4_0, memory, 0, DType.BF16));
            }

            Assert.Equal(expected, DeviceBytes.Get(memory));
        });
    }

    private static void Run(Device device, byte[] bytes, Placing work)
    {
        using var pool = device.CreateStagingPool(Math.Max(1, bytes.Length), 1);
        using var slot = pool.Rent();
        bytes.CopyTo(slot.Memory.Span);
        using var stream = device.CreateStream();
        work(stream, slot.Memory.Span[..bytes.Length]);
        stream.Synchronize();
    }

    private delegate void Placing(DeviceStream stream, ReadOnlySpan<byte> staged);

    // Whole groups of random bits, among them every class of value; of floats the hard ones too.
    private static byte[] Stored(DType dtype, int elements, int seed = 0)
    {
        var groups = (elements + dtype.BlockLength - 1) / dtype.BlockLength;
        var bytes = new byte[groups * dtype.BlockSize];
        new Random(20_261_122 + seed).NextBytes(bytes);
        if (dtype is DType.F32 or DType.F64 or DType.F16 or DType.BF16)
        {
            Packed.Bytes(HardValues.Mixed(dtype, elements), dtype.BlockSize).CopyTo(bytes, 0);
        }

        return bytes;
    }

    // PoCL takes a fifth of a second a kernel. There every type goes to three targets, a word, half of one and a double, and each kind to
    // all of them: what stores a target is one piece of code over all bodies. Everything to everything is held on the host, ILGPU's
    // CPU accelerator and CUDA, in the PTX of DecodeKernelPtxTests, and by perf/gpu on any device.
    private ImmutableArray<DType> TargetsOf(DType stored) =>
        kind == TestDevice.OpenCL && !Kinds.Contains(stored) ? [DType.F32, DType.BF16, DType.F64] : Codecs.Targets;

    private static byte[] Expected(byte[] bytes, DType stored, DType target)
    {
        var codec = Codecs.Of(stored);
        var values = new byte[target.ByteCount(bytes.Length / stored.BlockSize * (long)stored.BlockLength * codec.ValuesPerElement)];
        codec.DecodeScalar(bytes, values, target);
        return values;
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostDecodingTests() : DecodingTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorDecodingTests() : DecodingTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLDecodingTests() : DecodingTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaDecodingTests() : DecodingTests(TestDevice.Cuda);
