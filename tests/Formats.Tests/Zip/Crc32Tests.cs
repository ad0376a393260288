using System.Runtime.Intrinsics.X86;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>CRC-32 against published values, against the polynomial bit by bit, and each path against the other.</summary>
public sealed class Crc32Tests
{
    private static readonly byte[] Noise = MakeNoise(70_000);

    // The check value of the catalogue of CRCs (CRC-32/ISO-HDLC) and values of zlib's crc32.
    [Theory]
    [InlineData("", 0x00000000u)]
    [InlineData("a", 0xE8B7BE43u)]
    [InlineData("123456789", 0xCBF43926u)]
    [InlineData("The quick brown fox jumps over the lazy dog", 0x414FA339u)]
    public void Compute_KnownText_GivesItsPublishedValue(string text, uint expected) =>
        Assert.Equal(expected, Crc32.Compute(Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void Compute_EveryLengthAndAlignment_IsWhatThePolynomialSays()
    {
        for (var length = 0; length < 700; length++)
        {
            var bytes = Noise.AsSpan(length % 17, length);
            var expected = ZipRecord.CrcOf(bytes);
            Assert.Equal(expected, Crc32.Compute(bytes));
            Assert.Equal(expected, Crc32.AppendByTables(0, bytes));
        }
    }

    [Fact]
    public void AppendByFolding_EveryLengthAndBeginning_IsWhatTheTablesSay()
    {
        if (!Pclmulqdq.IsSupported)
        {
            // Without the instruction this path is never taken; the tables are held above.
            return;
        }

        foreach (var before in new[] { 0u, 1u, 0x80000000u, 0xdeadbeefu, ~0u })
        {
            for (var length = 64; length < 700; length++)
            {
                var bytes = Noise.AsSpan(length % 13, length);
                Assert.Equal(Crc32.AppendByTables(before, bytes), Crc32.AppendByFolding(before, bytes));
            }
        }

        Assert.Equal(ZipRecord.CrcOf(Noise), Crc32.AppendByFolding(0, Noise));
    }

    [Fact]
    public void Combine_AnyPiecesOfAnyBytes_IsTheWhole()
    {
        Prop.ForAll<byte[], byte[], byte>((first, second, seed) =>
        {
            var whole = first.Concat(second).ToArray();
            var a = Crc32.Append(seed, first);
            return Crc32.Append(seed, whole) == Crc32.Combine(a, Crc32.Compute(second), second.Length)
                && Crc32.Append(a, second) == Crc32.Append(seed, whole);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Combine_ZerosBeyondFourGibibytes_IsWhatManyPiecesGive()
    {
        // 2^33 zeros: doubled from one zero, against one step of that length.
        var zeros = Crc32.Compute([0]);
        var expected = Crc32.Compute([1, 2, 3]);
        for (var power = 0; power < 33; power++)
        {
            zeros = Crc32.Combine(zeros, zeros, 1L << power);
        }

        for (var part = 0; part < 8; part++)
        {
            var piece = Crc32.Compute([0]);
            for (var power = 0; power < 30; power++)
            {
                piece = Crc32.Combine(piece, piece, 1L << power);
            }

            expected = Crc32.Combine(expected, piece, 1L << 30);
        }

        Assert.Equal(expected, Crc32.Combine(Crc32.Compute([1, 2, 3]), zeros, 1L << 33));
    }

    private static byte[] MakeNoise(int length)
    {
        var bytes = new byte[length];
        new Random(5).NextBytes(bytes);
        return bytes;
    }
}
