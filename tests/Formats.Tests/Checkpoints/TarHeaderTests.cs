using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What Python's tarfile takes for a tar archive is refused, whatever else it is (CVE-2025-32434).</summary>
public sealed class TarHeaderTests
{
    private const int Checksum = 148;

    // Every spelling was held against tarfile.TarInfo.frombuf of Python 3.11.
    [Theory]
    [InlineData("{0:D6}\0 ", false)]
    [InlineData("{0:D7} ", false)]
    [InlineData(" {0}  ", false)]
    [InlineData("0o{0}\0", false)]
    [InlineData("+{0}\0", false)]
    [InlineData("{0:D6}\0 ", true)]
    public void Matches_HeaderWithoutTheWordUstar_IsRecognised(string spelling, bool isSigned)
    {
        var head = Header(spelling, isSigned);
        Assert.True(TarHeader.Matches(head));
        Assert.True(TarHeader.Matches([.. head, 1, 2, 3]));
        Assert.False(TarHeader.Matches(head.AsSpan(0, 511)));
        head[300]++;
        Assert.False(TarHeader.Matches(head));
    }

    [Fact]
    public void Matches_ChecksumAsABinaryNumber_IsRecognised()
    {
        var head = Header("{0:D6}\0 ", isSigned: false);
        var sum = Convert.ToInt32(Encoding.ASCII.GetString(head, Checksum, 6), 8);
        head[Checksum] = 0x80;
        head.AsSpan(Checksum + 1, 3).Clear();
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(Checksum + 4), sum);
        Assert.True(TarHeader.Matches(head));
    }

    [Theory]
    [InlineData("99999999")]
    [InlineData("\"a\":1,\"b")]
    public void Matches_WhatIsNoOctalNumber_IsNone(string field)
    {
        var head = Header("{0:D6}\0 ", isSigned: false);
        Encoding.ASCII.GetBytes(field).CopyTo(head, Checksum);
        Assert.False(TarHeader.Matches(head));
    }

    [Fact]
    public async Task Open_SafetensorsFileThatIsATarArchiveToo_IsRefused()
    {
        // The header's length and text are the name of the first member; the checksum stands in the blanks behind the text.
        const int headerBytes = 504;
        var text = "{\"__metadata__\":{\"x\":\"y\"}}".PadRight(headerBytes);
        var file = SafetensorsBuilder.File(text);
        Assert.Equal(512, file.Length);
        await using (await Checkpoint.OpenAsync(new MemorySource(file, "m.safetensors")))
        {
            // Valid, and no archive yet.
        }

        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Octal(Sum(file, isSigned: false)):D7} ")).CopyTo(file, Checksum);
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => Checkpoint.OpenAsync(new MemorySource(file, "m.safetensors")));
        Assert.Equal("a tar archive", exception.Feature);
    }

    private static byte[] Header(string spelling, bool isSigned)
    {
        var head = new byte[512];
        "storages"u8.CopyTo(head);
        head.AsSpan(200, 40).Fill(0xE9);
        var field = string.Format(CultureInfo.InvariantCulture, spelling, Math.Abs(Octal(Sum(head, isSigned))));
        Encoding.ASCII.GetBytes(isSigned && Sum(head, isSigned) < 0 ? "-" + field[1..] : field).CopyTo(head, Checksum);
        return head;
    }

    private static int Sum(byte[] head, bool isSigned)
    {
        var sum = 8 * ' ';
        for (var i = 0; i < 512; i++)
        {
            sum += i is >= Checksum and < Checksum + 8 ? 0 : isSigned ? (sbyte)head[i] : head[i];
        }

        return sum;
    }

    // The number whose decimal digits are the octal digits of another.
    private static int Octal(int number) => int.Parse(Convert.ToString(Math.Abs(number), 8), CultureInfo.InvariantCulture);
}
