using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// The CRC-32 of zip, gzip and PNG: polynomial 04C11DB7, bits reflected. Here since the framework's own is in a package apart.
/// Safe for any thread.
/// </summary>
internal static class Crc32
{
    private const uint Polynomial = 0xEDB88320;

    // Four vectors to begin with and four to fold into them; below, the tables are as fast.
    private const int SmallestFolded = 128;

    // Table k gives what a byte does to the CRC when k more bytes follow: eight look-ups take eight bytes at once.
    private static readonly uint[][] Tables = BuildTables();

    /// <summary>The CRC-32 of some bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => Append(0, bytes);

    /// <summary>The CRC-32 of bytes that follow others.</summary>
    /// <param name="crc">The CRC-32 of the bytes before; 0 for none.</param>
    /// <param name="bytes">The bytes that follow.</param>
    public static uint Append(uint crc, ReadOnlySpan<byte> bytes) =>
        Pclmulqdq.IsSupported && bytes.Length >= SmallestFolded ? AppendByFolding(crc, bytes) : AppendByTables(crc, bytes);

    /// <summary>The CRC-32 of two pieces, one after the other, from the CRC-32 of each.</summary>
    /// <param name="first">The CRC-32 of the first piece.</param>
    /// <param name="second">The CRC-32 of the second piece.</param>
    /// <param name="secondLength">How many bytes the second piece has.</param>
    public static uint Combine(uint first, uint second, long secondLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(secondLength);
        // Zeros behind the first piece multiply its remainder by x^8 each.
        var power = 0x00800000u;
        var result = 0x80000000u;
        for (var exponent = (ulong)secondLength; exponent != 0; exponent >>= 1)
        {
            if ((exponent & 1) != 0)
            {
                result = Multiply(result, power);
            }

            power = Multiply(power, power);
        }

        return Multiply(first, result) ^ second;
    }

    /// <summary>The same by tables alone, on every machine.</summary>
    /// <inheritdoc cref="Append" path="/param"/>
    internal static uint AppendByTables(uint crc, ReadOnlySpan<byte> bytes)
    {
        var state = ~crc;
        while (bytes.Length >= sizeof(ulong))
        {
            var low = BinaryPrimitives.ReadUInt32LittleEndian(bytes) ^ state;
            var high = BinaryPrimitives.ReadUInt32LittleEndian(bytes[sizeof(uint)..]);
            state = Tables[7][low & 0xff] ^ Tables[6][(low >> 8) & 0xff] ^ Tables[5][(low >> 16) & 0xff] ^ Tables[4][low >> 24]
                ^ Tables[3][high & 0xff] ^ Tables[2][(high >> 8) & 0xff] ^ Tables[1][(high >> 16) & 0xff] ^ Tables[0][high >> 24];
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes)
        {
            state = Tables[0][(byte)(state ^ value)] ^ (state >> 8);
        }

        return ~state;
    }

    /// <summary>The same with carry-less multiplication, where the processor has it.</summary>
    /// <param name="crc">The CRC-32 of the bytes before; 0 for none.</param>
    /// <param name="bytes">The bytes that follow, 128 or more.</param>
    /// <remarks>
    /// Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009): a vector is moved
    /// over those behind it by multiplying its halves with x^(distance) modulo the polynomial. The four vectors that remain are
    /// bytes with the same CRC as all before them, which the tables bring to an end with the odd bytes.
    /// </remarks>
    internal static uint AppendByFolding(uint crc, ReadOnlySpan<byte> bytes)
    {
        var vectors = MemoryMarshal.Cast<byte, Vector128<ulong>>(bytes);
        var first = vectors[0] ^ Vector128.CreateScalar((ulong)~crc);
        var second = vectors[1];
        var third = vectors[2];
        var fourth = vectors[3];
        vectors = vectors[4..];
        // x^(512+64) and x^512, reflected: over four vectors.
        var factors = Vector128.Create(0x154442bd4UL, 0x1c6e41596UL);
        var folded = 4;
        while (vectors.Length >= 4)
        {
            first = Fold(first, factors) ^ vectors[0];
            second = Fold(second, factors) ^ vectors[1];
            third = Fold(third, factors) ^ vectors[2];
            fourth = Fold(fourth, factors) ^ vectors[3];
            vectors = vectors[4..];
            folded += 4;
        }

        // The state of a CRC that has seen nothing but what the vectors stand for is 0, whose complement the tables take.
        ReadOnlySpan<Vector128<ulong>> rest = [first, second, third, fourth];
        return AppendByTables(AppendByTables(~0u, MemoryMarshal.AsBytes(rest)), bytes[(folded * Vector128<byte>.Count)..]);
    }

    private static Vector128<ulong> Fold(Vector128<ulong> vector, Vector128<ulong> factors) =>
        Pclmulqdq.CarrylessMultiply(vector, factors, 0x00) ^ Pclmulqdq.CarrylessMultiply(vector, factors, 0x11);

    // The product of two polynomials modulo that of the CRC, the highest bit being x^0.
    private static uint Multiply(uint a, uint b)
    {
        var product = 0u;
        for (; a != 0; a <<= 1)
        {
            if ((a & 0x80000000) != 0)
            {
                product ^= b;
            }

            b = (b & 1) != 0 ? (b >> 1) ^ Polynomial : b >> 1;
        }

        return product;
    }

    private static uint[][] BuildTables()
    {
        var tables = new uint[8][];
        for (var k = 0; k < tables.Length; k++)
        {
            tables[k] = new uint[256];
            for (var i = 0; i < tables[k].Length; i++)
            {
                var value = k == 0 ? (uint)i : tables[k - 1][i];
                for (var bit = 0; bit < 8; bit++)
                {
                    value = (value & 1) != 0 ? (value >> 1) ^ Polynomial : value >> 1;
                }

                tables[k][i] = value;
            }
        }

        return tables;
    }
}
