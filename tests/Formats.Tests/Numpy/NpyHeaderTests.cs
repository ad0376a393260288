using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Headers as NumPy and other writers spell them, and what of them is read.</summary>
public sealed class NpyHeaderTests
{
    public static TheoryData<string> Spellings =>
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2, 3)}\n",
        // Python 2 wrote long numbers, and on some machines strings of two kinds.
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }\n",
        "{u'descr': u'<f4', u'fortran_order': False, u'shape': (2L, 3), }\n",
        "  {  'shape'  :(2,3,),'fortran_order':False,\n\t'descr' : '<f4'}   \n  ",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (+2, 3)}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2, (3))}",
    ];

    [Theory]
    [MemberData(nameof(Spellings))]
    public async Task Open_EverySpellingOfAHeader_IsTheSameArray(string header)
    {
        var data = Enumerable.Range(0, 24).Select(i => (byte)i).ToArray();
        for (var version = 1; version <= 3; version++)
        {
            var tensor = await NpyOpening.AcceptedAsync(NpyOpening.Array(Encoding.ASCII.GetBytes(header), data, version));
            Assert.Equal((DType.F32, new Shape(2, 3)), (tensor.DType, tensor.Shape));
            Assert.True(tensor.IsWholeStorage);
            Assert.Equal(data, await ElementWalk.ReadAsync(tensor));
        }
    }

    [Theory]
    [InlineData("|b1", DType.BOOL)]
    [InlineData("?", DType.BOOL)]
    [InlineData("|i1", DType.I8)]
    [InlineData(">i1", DType.I8)]
    [InlineData("|u1", DType.U8)]
    [InlineData("<i2", DType.I16)]
    [InlineData("<u2", DType.U16)]
    [InlineData("<i4", DType.I32)]
    [InlineData("<u4", DType.U32)]
    [InlineData("<i8", DType.I64)]
    [InlineData("<u8", DType.U64)]
    [InlineData("<f2", DType.F16)]
    [InlineData("<f4", DType.F32)]
    [InlineData("<f8", DType.F64)]
    [InlineData("<c8", DType.C64)]
    [InlineData("<c16", DType.C128)]
    public async Task Open_EveryType_IsTheOneHere(string descr, DType expected)
    {
        var tensor = await NpyOpening.AcceptedAsync(NpyOpening.Array(NpyOpening.Header($"'{descr}'", "(3,)"), expected.BlockSize * 3));
        Assert.Equal((expected, expected.BlockSize * 3L), (tensor.DType, tensor.ByteLength));
    }

    [Theory]
    [InlineData(">i2", 2)]
    [InlineData(">u4", 4)]
    [InlineData(">f8", 8)]
    [InlineData(">c8", 4)]
    [InlineData(">c16", 8)]
    public async Task Open_BigEndian_TurnsEveryNumberRound(string descr, int numberSize)
    {
        var data = Enumerable.Range(0, 48).Select(i => (byte)i).ToArray();
        var count = 48 / int.Parse(descr[2..], System.Globalization.CultureInfo.InvariantCulture);
        var tensor = await NpyOpening.AcceptedAsync(NpyOpening.Array(Encoding.ASCII.GetBytes(NpyOpening.Header($"'{descr}'", $"({count},)")), data));
        Assert.Equal(data.Chunk(numberSize).SelectMany(number => number.Reverse()), await ElementWalk.ReadAsync(tensor));
        Assert.Equal(0x93, (await BytesAsync(tensor.File.Source, 0, 1))[0]);
    }

    [Theory]
    [InlineData("()", 1, false)]
    [InlineData("(7,)", 7, false)]
    [InlineData("(0, 3)", 0, false)]
    [InlineData("(1, 5, 1)", 5, false)]
    [InlineData("(2, 3)", 6, true)]
    [InlineData("(2, 1, 3)", 6, true)]
    public async Task Open_FortranOrder_HasStridesOnlyWhereTheyMatter(string shape, int elements, bool hasStrides)
    {
        var data = Enumerable.Range(0, elements * 2).Select(i => (byte)i).ToArray();
        var tensor = await NpyOpening.AcceptedAsync(
            NpyOpening.Array(Encoding.ASCII.GetBytes(NpyOpening.Header("'<i2'", shape, "True")), data));
        Assert.Equal(hasStrides, !tensor.Strides.IsDefault);
        Assert.Equal(!hasStrides, tensor.IsContiguous);
    }

    [Fact]
    public async Task Open_FortranOrderOfThreeDimensions_GivesTheElementsInRowMajorOrder()
    {
        // Element (i, j, k) is the number 100 i + 10 j + k.
        var stored = new List<byte>();
        for (var k = 0; k < 4; k++)
        {
            for (var j = 0; j < 3; j++)
            {
                for (var i = 0; i < 2; i++)
                {
                    stored.AddRange(BitConverter.GetBytes((short)((100 * i) + (10 * j) + k)));
                }
            }
        }

        var tensor = await NpyOpening.AcceptedAsync(
            NpyOpening.Array(Encoding.ASCII.GetBytes(NpyOpening.Header("'<i2'", "(2, 3, 4)", "True")), [.. stored]));
        var expected = from i in Enumerable.Range(0, 2)
                       from j in Enumerable.Range(0, 3)
                       from k in Enumerable.Range(0, 4)
                       select BitConverter.GetBytes((short)((100 * i) + (10 * j) + k));
        Assert.Equal(expected.SelectMany(bytes => bytes), await ElementWalk.ReadAsync(tensor));
    }

    [Fact]
    public async Task Open_HeaderOfTheLargestSize_IsRead()
    {
        var header = NpyOpening.Header("'<f4'", "(1,)").PadRight(10_000);
        Assert.Equal(new Shape(1), (await NpyOpening.AcceptedAsync(NpyOpening.Array(header, 4))).Shape);
        Assert.Equal(new Shape(1), (await NpyOpening.AcceptedAsync(NpyOpening.Array(header, 4, version: 2))).Shape);
    }

    [Fact]
    public async Task Open_NameWithoutEnding_IsTheName()
    {
        var bytes = NpyOpening.Array(NpyOpening.Header("'<f4'", "(1,)"), 4);
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes, "folder/model.layers.0.weight"));
        Assert.Equal("model.layers.0.weight", Assert.Single(checkpoint.Tensors).Name);
    }

    [Fact]
    public async Task Open_Array_ReadsNoElement()
    {
        await using var source = new RecordingSource(new MemorySource(NpyOpening.Array(NpyOpening.Header("'<f4'", "(1000,)"), 4000), NpyOpening.Path));
        await using var checkpoint = await Checkpoint.OpenAsync(source, leaveOpen: true);
        Assert.InRange(source.FurthestByte, 1, 512);
    }

    [Fact]
    public async Task Open_SourceThatFails_PassesItOn()
    {
        var bytes = NpyOpening.Array(NpyOpening.Header("'<f4'", "(1,)").PadRight(2000), 4);
        var exception = await Assert.ThrowsAsync<IOException>(
            () => Checkpoint.OpenAsync(ThrowingSource.AfterBytes(new MemorySource(bytes, NpyOpening.Path), 600)));
        Assert.Equal(ThrowingSource.Message, exception.Message);
    }

    [Fact]
    public async Task Open_Cancelled_ReadsNoFurther()
    {
        using var cancellation = new CancellationTokenSource();
        var bytes = NpyOpening.Array(NpyOpening.Header("'<f4'", "(1,)").PadRight(2000), 4);
        await using var source = new CancellingSource(new MemorySource(bytes, NpyOpening.Path), cancellation);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(source, leaveOpen: true, cancellationToken: cancellation.Token));
        Assert.Equal(0, source.ReadsAfterwards);
    }

    private static async Task<byte[]> BytesAsync(IByteSource source, long offset, int count)
    {
        var bytes = new byte[count];
        await source.ReadExactlyAsync(offset, bytes);
        return bytes;
    }
}
