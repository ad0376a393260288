using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Which bytes of a big-endian file are turned round, type by type, against the members of ggml's structs.</summary>
public sealed class GgufByteOrderTests
{
    // The members in their order (ggml-common.h): the size of one, and how many there are.
    public static TheoryData<string, string> Structs => new()
    {
        { "F32", "4x1" }, { "F16", "2x1" }, { "BF16", "2x1" }, { "F64", "8x1" }, { "I8", "1x1" }, { "I16", "2x1" }, { "I32", "4x1" }, { "I64", "8x1" },
        { "Q4_0", "2x1 1x16" }, { "Q4_1", "2x1 2x1 1x16" }, { "Q5_0", "2x1 1x4 1x16" }, { "Q5_1", "2x1 2x1 1x4 1x16" }, { "Q8_0", "2x1 1x32" },
        { "Q8_1", "2x1 2x1 1x32" }, { "Q2_K", "1x16 1x64 2x1 2x1" }, { "Q3_K", "1x32 1x64 1x12 2x1" }, { "Q4_K", "2x1 2x1 1x12 1x128" },
        { "Q5_K", "2x1 2x1 1x12 1x32 1x128" }, { "Q6_K", "1x128 1x64 1x16 2x1" }, { "Q8_K", "4x1 1x256 2x16" }, { "IQ2_XXS", "2x1 2x32" },
        { "IQ2_XS", "2x1 2x32 1x8" }, { "IQ3_XXS", "2x1 1x96" }, { "IQ1_S", "2x1 1x32 2x8" }, { "IQ4_NL", "2x1 1x16" }, { "IQ3_S", "2x1 1x64 1x8 1x32 1x4" },
        { "IQ2_S", "2x1 1x64 1x8 1x8" }, { "IQ4_XS", "2x1 2x1 1x4 1x128" }, { "IQ1_M", "1x32 1x16 1x8" }, { "TQ1_0", "1x48 1x4 2x1" }, { "TQ2_0", "1x64 2x1" },
        { "MXFP4", "1x1 1x16" }, { "NVFP4", "1x4 1x32" }, { "Q1_0", "2x1 1x16" }, { "Q2_0", "2x1 1x16" },
    };

    [Fact]
    public void Structs_AreThoseOfEveryType() =>
        Assert.Equal(GgufTypes.All.Select(dtype => dtype.Name).Order(StringComparer.Ordinal), Structs.Select(row => (string)row[0]).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Structs))]
    public async Task Read_BlocksOfABigEndianFile_HaveEveryMemberTurnedRound(string type, string members)
    {
        Assert.True(DType.TryFromName(type, out var dtype) && GgufTypes.TryGetId(dtype, out _));
        _ = GgufTypes.TryGetId(dtype, out var id);
        var (blocks, stored, expected) = (3, new List<byte>(), new List<byte>());
        for (var block = 0; block < blocks; block++)
        {
            foreach (var member in members.Split(' '))
            {
                var (size, count) = (int.Parse(member.Split('x')[0]), int.Parse(member.Split('x')[1]));
                for (var i = 0; i < count; i++)
                {
                    byte[] number = [.. Enumerable.Range(stored.Count, size).Select(value => (byte)(value * 7))];
                    stored.AddRange(number);
                    expected.AddRange(Enumerable.Reverse(number));
                }
            }
        }

        Assert.Equal(blocks * dtype.BlockSize, stored.Count);
        var file = new GgufBuilder(3, bigEndian: true)
            .Tensor("before", 0, [1], [1, 2, 3, 4]).Tensor("a", id, [(ulong)(blocks * dtype.BlockLength)], [.. stored]).Tensor("behind", 24, [2], [5, 6]).ToBytes();
        await using var checkpoint = await GgufOpening.AcceptedAsync(file);
        Assert.Equal(expected, await GgufOpening.BytesAsync(checkpoint["a"]));
        Assert.Equal([4, 3, 2, 1], await GgufOpening.BytesAsync(checkpoint["before"]));
        Assert.Equal([5, 6], await GgufOpening.BytesAsync(checkpoint["behind"]));
    }
}
