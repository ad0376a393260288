using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// Every vector width against the scalar body, also those that this processor (or DOTNET_EnableAVX512=0,
/// DOTNET_EnableHWIntrinsic=0) does not have: the runtime then carries them out in software, with the same results.
/// </summary>
[Trait("Area", "Codecs")]
public sealed unsafe class VectorPathTests
{
    private const byte Guard = 0xA5;
    private const int Margin = 64;

    // The same for every width.
    private static readonly ConcurrentDictionary<(DType From, DType To), Lazy<(byte[] Stored, byte[] Expected)>> Expected = new();

    public static TheoryData<DType, DType, int> Paths()
    {
        var paths = new TheoryData<DType, DType, int>();
        foreach (var from in VectorPath.Sources)
        {
            foreach (var to in VectorPath.Targets.Where(to => to != from))
            {
                paths.Add(from, to, 128);
                paths.Add(from, to, 256);
                paths.Add(from, to, 512);
            }
        }

        return paths;
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void A_path_equals_the_scalar_body_on_every_length_and_misalignment_and_writes_nothing_else(DType from, DType to, int width)
    {
        var path = VectorPath.Find(from, to, width);
        var longest = (4 * path.Step) - 1;
        var stored = Packed.Bytes(HardValues.Mixed(from, longest), from.BlockSize);
        var expected = new byte[longest * to.BlockSize];
        Packed.CodecOf(from).DecodeScalar(stored, expected, to);

        using var source = new AlignedBytes(stored.Length + Margin);
        using var destination = new AlignedBytes(expected.Length + (3 * Margin));
        foreach (var (sourceShift, destinationShift) in Shifts(from.BlockSize, to.BlockSize))
        {
            for (var length = 0; length <= longest; length++)
            {
                var input = source.Span.Slice(sourceShift, length * from.BlockSize);
                stored.AsSpan(0, input.Length).CopyTo(input);
                foreach (var bypassCache in new[] { false, true })
                {
                    destination.Span.Fill(Guard);
                    var first = Margin + destinationShift;
                    var output = destination.Span.Slice(first, length * to.BlockSize);
                    path.Convert(input, output, bypassCache);
                    if (!output.SequenceEqual(expected.AsSpan(0, output.Length))
                        || destination.Span[..first].ContainsAnyExcept(Guard)
                        || destination.Span[(first + output.Length)..].ContainsAnyExcept(Guard))
                    {
                        Assert.Fail($"{length} values, source shifted by {sourceShift}, destination by {destinationShift}, streaming {bypassCache}.");
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void A_path_equals_the_scalar_body_on_every_hard_value(DType from, DType to, int width)
    {
        var (stored, expected) = Expected.GetOrAdd((from, to), pair => new(() => DecodeHardValues(pair.From, pair.To))).Value;
        var actual = new byte[expected.Length];
        VectorPath.Find(from, to, width).Convert(stored, actual, bypassCache: true);
        Assert.True(actual.AsSpan().SequenceEqual(expected));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.F64)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2FNUZ)]
    public void A_type_decoded_to_itself_is_copied_on_every_length_and_misalignment(DType dtype)
    {
        var stored = Packed.Bytes(HardValues.Mixed(dtype, 200), dtype.BlockSize);
        var codec = Packed.CodecOf(dtype);
        using var destination = new AlignedBytes(stored.Length + (3 * Margin));
        for (var length = 0; length <= 200; length++)
        {
            for (var shift = 0; shift < 9; shift++)
            {
                var source = stored.AsSpan(0, length * dtype.BlockSize);
                destination.Span.Fill(Guard);
                codec.Decode(source, destination.Span.Slice(Margin + shift, source.Length), dtype, bypassCache: true);
                Assert.True(destination.Span.Slice(Margin + shift, source.Length).SequenceEqual(source));
                Assert.False(destination.Span[..(Margin + shift)].ContainsAnyExcept(Guard));
                Assert.False(destination.Span[(Margin + shift + source.Length)..].ContainsAnyExcept(Guard));
            }
        }
    }

    [LinuxFact]
    public void No_path_reads_past_the_end_of_its_source()
    {
        // A read behind the guarded end would end the process: a harsh way to fail, but there is no other.
        using var guarded = new GuardedMemory();
        var destination = new byte[400 * sizeof(double)];
        foreach (var row in Paths())
        {
            var (from, to, width) = ((DType)row[0], (DType)row[1], (int)row[2]);
            var path = VectorPath.Find(from, to, width);
            for (var length = 0; length < 4 * path.Step; length++)
            {
                var source = guarded.Span[^(length * from.BlockSize)..];
                path.Convert(source, destination.AsSpan(0, length * to.BlockSize), bypassCache: length % 2 == 0);
                Packed.CodecOf(from).DecodeScalar(source, destination.AsSpan(0, length * to.BlockSize), to);
            }
        }

        foreach (var codec in Codecs.All.Where(codec => !codec.DType.IsBlock))
        {
            for (var count = 0; count < 100; count++)
            {
                var source = guarded.Span[^(count * codec.DType.BlockSize)..];
                var values = count * codec.DType.BlockLength * codec.ValuesPerElement;
                codec.DecodeScalar(source, destination.AsSpan(0, values * 8), DType.F64);
            }
        }
    }

    private static (byte[] Stored, byte[] Expected) DecodeHardValues(DType from, DType to)
    {
        var patterns = from switch
        {
            DType.F32 => HardValues.SinglesFor(to is DType.F64 ? DType.F16 : to),
            DType.F64 => HardValues.Doubles(),
            _ => HardValues.AllOf(from),
        };

        // Software vectors are slow; random patterns are at the end and add the least. What F64 becomes on its way to other
        // types is held by F32, so that those pairs need not have all of them.
        var most = VectorPath.HasHardware && (from != DType.F64 || to.BlockSize > 1) ? int.MaxValue : 400_000;
        var stored = Packed.Bytes(patterns.AsSpan(0, Math.Min(patterns.Length, most)), from.BlockSize);
        var expected = new byte[stored.Length / from.BlockSize * to.BlockSize];
        Packed.CodecOf(from).DecodeScalar(stored, expected, to);
        return (stored, expected);
    }

    /// <summary>Aligned both, each misaligned by its own values, and each by an odd byte.</summary>
    private static IEnumerable<(int Source, int Destination)> Shifts(int sourceSize, int destinationSize)
    {
        int[] sources = [0, 1, sourceSize, 7 * sourceSize % 64];
        int[] destinations = [0, 1, destinationSize, 3 * destinationSize, 64 - destinationSize, 16 + destinationSize];
        return sources.SelectMany(source => destinations.Select(destination => (source, destination)));
    }

    /// <summary>Memory that begins at a multiple of 64 bytes, so that a shift is what it says.</summary>
    private sealed class AlignedBytes(int length) : IDisposable
    {
        private readonly byte* _first = (byte*)NativeMemory.AlignedAlloc((nuint)length, 64);

        public Span<byte> Span => new(_first, length);

        public void Dispose() => NativeMemory.AlignedFree(_first);
    }
}
