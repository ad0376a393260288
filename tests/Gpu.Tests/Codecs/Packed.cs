using System.Buffers.Binary;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Bit patterns as little-endian bytes and back, and codecs called on whole arrays of them.</summary>
internal static class Packed
{
    public static byte[] Bytes(ReadOnlySpan<ulong> patterns, int size)
    {
        var bytes = new byte[patterns.Length * size];
        for (var i = 0; i < patterns.Length; i++)
        {
            Write(bytes.AsSpan(i * size, size), patterns[i]);
        }

        return bytes;
    }

    public static ulong[] Patterns(ReadOnlySpan<byte> bytes, int size)
    {
        var patterns = new ulong[bytes.Length / size];
        for (var i = 0; i < patterns.Length; i++)
        {
            patterns[i] = Read(bytes.Slice(i * size, size));
        }

        return patterns;
    }

    /// <summary>Elements of fewer than eight bits, one behind the other from the lowest bit of the first byte on.</summary>
    public static byte[] Bits(ReadOnlySpan<ulong> patterns, DType dtype)
    {
        var width = dtype.BlockSize * 8 / dtype.BlockLength;
        var bytes = new byte[dtype.ByteCount(patterns.Length)];
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var value = (patterns[bit / width] >> (bit % width)) & 1;
            bytes[bit / 8] |= (byte)(value << (bit % 8));
        }

        return bytes;
    }

    public static Codec CodecOf(DType dtype) => Codecs.Of(dtype);

    /// <summary>Decodes by the scalar body and by the fast path, and holds the second against the first.</summary>
    public static ulong[] Decode(ulong[] patterns, DType from, DType to)
    {
        var codec = CodecOf(from);
        var source = from.IsSubByte ? Bits(patterns, from) : Bytes(patterns, from.BlockSize / codec.ValuesPerElement);
        var scalar = new byte[patterns.Length * to.BlockSize];
        var fast = new byte[scalar.Length];
        codec.DecodeScalar(source, scalar, to);
        codec.Decode(source, fast, to);
        Assert.True(scalar.AsSpan().SequenceEqual(fast), $"The fast path from {from} to {to} differs from the scalar body.");
        codec.Decode(source, fast, to, bypassCache: true);
        Assert.True(scalar.AsSpan().SequenceEqual(fast), $"The streaming path from {from} to {to} differs from the scalar body.");
        return Patterns(scalar, to.BlockSize);
    }

    /// <summary>Compares with what <paramref name="expected"/> makes of each pattern, and names the first that differs.</summary>
    public static void AssertEach(ulong[] patterns, ulong[] actual, Func<ulong, ulong> expected)
    {
        Assert.Equal(patterns.Length, actual.Length);
        for (var i = 0; i < patterns.Length; i++)
        {
            var wanted = expected(patterns[i]);
            if (wanted != actual[i])
            {
                Assert.Fail($"{patterns[i]:X} became {actual[i]:X}, not {wanted:X}.");
            }
        }
    }

    private static void Write(Span<byte> bytes, ulong pattern)
    {
        switch (bytes.Length)
        {
            case 8:
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, pattern);
                break;
            case 4:
                BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)pattern);
                break;
            case 2:
                BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)pattern);
                break;
            case 1:
                bytes[0] = (byte)pattern;
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(bytes), bytes.Length, "No element has this size.");
        }
    }

    private static ulong Read(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        8 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        4 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        2 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        1 => bytes[0],
        _ => throw new ArgumentOutOfRangeException(nameof(bytes), bytes.Length, "No element has this size."),
    };
}
