using System.Text;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Bare pickles, arrays of NumPy in any pickle, and what is taken for a pickle (bad input F1).</summary>
public sealed class TorchPickleTests
{
    private static readonly byte[] Eight = [1, 2, 3, 4, 5, 6, 7, 8];

    [Theory]
    [InlineData("i2", "<", DType.I16, 2)]
    [InlineData("u1", "|", DType.U8, 1)]
    [InlineData("b1", "|", DType.BOOL, 1)]
    [InlineData("f4", "<", DType.F32, 4)]
    [InlineData("f8", "=", DType.F64, 8)]
    [InlineData("c8", "<", DType.C64, 8)]
    [InlineData("i2", ">", DType.I16, 2)]
    [InlineData("f8", ">", DType.F64, 8)]
    public async Task Open_Array_IsATensorOfItsBytesInEitherOrder(string code, string order, DType dtype, int size)
    {
        foreach (var core in (string[])["numpy.core", "numpy._core"])
        {
            var value = Dictionary(("a", Array(core, code, order, [8 / size], isFortran: false, Bytes(Eight))));
            foreach (var file in (byte[][])[Complete(value), new TorchBuilder().ToArchive(value), new TorchBuilder().ToStream(value)])
            {
                await using var checkpoint = await TorchOpening.AcceptedAsync(file);
                var tensor = checkpoint["a"];
                Assert.Equal((dtype, true, 8L), (tensor.DType, tensor.IsWholeStorage, tensor.ByteLength));
                Assert.Equal(file.Length, tensor.Offset);
                Assert.Equal(file.Length, checkpoint.Files[0].Length);
                Assert.Equal(order == ">" ? Eight.Chunk(size).SelectMany(number => number.Reverse()) : Eight, await TorchOpening.ValuesAsync(tensor));
            }
        }
    }

    [Fact]
    public async Task Open_ArrayInColumns_HasStrides()
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(Complete(Array("numpy.core", "u1", "|", [2, 4], isFortran: true, Bytes(Eight))));
        Assert.Equal([1, 2], TorchOpening.Strides(checkpoint["."]));
        Assert.Equal([1, 3, 5, 7, 2, 4, 6, 8], await TorchOpening.ValuesAsync(checkpoint["."]));
    }

    [Fact]
    public async Task Open_BytesOfAnyProtocol_AreTheArrays()
    {
        byte[][] forms =
        [
            Bytes(Eight),
            Call("_codecs", "encode", Text("\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008"), Text("latin1")),
            // SHORT_BINSTRING, as Python 2 wrote them; these happen to be text, those below are not.
            [(byte)'U', 8, .. Eight],
            Call("builtins", "bytearray", Bytes(Eight)),
        ];
        foreach (var form in forms)
        {
            await using var checkpoint = await TorchOpening.AcceptedAsync(Complete(Array("numpy.core", "u1", "|", [8], false, form)));
            Assert.Equal(Eight, await TorchOpening.ValuesAsync(checkpoint["."]));
        }

        byte[] high = [0xff, 0xfe, 0x80, 0xc3];
        await using var binary = await TorchOpening.AcceptedAsync(Complete(Array("numpy.core", "u1", "|", [4], false, [(byte)'U', 4, .. high])));
        Assert.Equal(high, await TorchOpening.ValuesAsync(binary["."]));
    }

    [Fact]
    public async Task Open_ArrayOfProtocol5_IsATensor()
    {
        var value = Call("numpy.core.numeric", "_frombuffer", Bytes(Eight), Type("u1", "|"), Numbers(2, 4), Text("F"));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Complete(value, 5));
        Assert.Equal([1, 3, 5, 7, 2, 4, 6, 8], await TorchOpening.ValuesAsync(checkpoint["."]));
    }

    [Fact]
    public async Task Open_ArrayNamedTwice_IsTied()
    {
        var value = List(Put(Array("numpy.core", "u1", "|", [8], false, Bytes(Eight)), 9), Get(9));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Complete(value));
        Assert.Equal([null, "0"], checkpoint.Tensors.Select(tensor => tensor.TiedTo));
        Assert.Single(checkpoint.Tensors.Select(tensor => tensor.Offset).Distinct());
    }

    [Theory]
    [InlineData(new long[] { 7 }, CheckpointErrorCode.SizeMismatch)]
    [InlineData(new long[] { 9 }, CheckpointErrorCode.SizeMismatch)]
    [InlineData(new long[] { -8 }, CheckpointErrorCode.PickleInvalid)]
    [InlineData(new long[] { 1L << 62, 8 }, CheckpointErrorCode.SizeOverflow)]
    public async Task Open_ArrayOfAnotherSizeThanItsBytes_IsRefused(long[] shape, CheckpointErrorCode code) =>
        await TorchOpening.InvalidAsync(Complete(Dictionary(("a", Array("numpy.core", "u1", "|", shape, false, Bytes(Eight))))), code, "a");

    [Fact]
    public async Task Open_ArrayOfText_IsLeftOutWithAWarning()
    {
        var value = Dictionary(("a", Array("numpy.core", "U2", "<", [1], false, Bytes(Eight))), ("b", Array("numpy.core", "u1", "|", [8], false, Bytes(Eight))));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Complete(value));
        Assert.Equal("b", Assert.Single(checkpoint.Tensors).Name);
        Assert.Contains("'a'", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NumbersOfNumPy_AreNumbers()
    {
        byte[] Scalar(string code, string order, params byte[] bytes) => Call("numpy.core.multiarray", "scalar", Type(code, order), Bytes(bytes));
        await using var checkpoint = await TorchOpening.AcceptedAsync(new TorchBuilder().ToArchive(Dictionary(
            ("f8", Scalar("f8", "<", 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)),
            ("big", Scalar("f4", ">", 0x3f, 0xc0, 0, 0)),
            ("i1", Scalar("i1", "|", 0xff)),
            ("u8", Scalar("u8", "<", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
            ("b1", Scalar("b1", "|", 1)),
            ("text", Scalar("U1", "<", 0x41, 0, 0, 0)))));
        Assert.Equal([1.5, 1.5f, -1L, (System.Numerics.BigInteger)ulong.MaxValue, true, "A"], checkpoint.Metadata.Values);
        await TorchOpening.InvalidAsync(new TorchBuilder().ToArchive(Dictionary(("x", Scalar("f8", "<", 0)))), CheckpointErrorCode.SizeMismatch, "x");
    }

    [Fact]
    public async Task Open_PickleWithoutArrays_HoldsNoWeights()
    {
        foreach (var value in (byte[][])[Dictionary(("a", Whole(1))), List(), None])
        {
            await TorchOpening.InvalidAsync(Complete(value), CheckpointErrorCode.NoWeights);
        }
    }

    [Fact]
    public async Task Open_PickleTakenOutOfItsArchive_SaysSo()
    {
        var exception = await TorchOpening.InvalidAsync(
            Complete(Dictionary(("a", Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1])))), CheckpointErrorCode.StorageInvalid, "a");
        Assert.Contains("data.pkl", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(dp0\nS'a'\np1\nI1\ns.")]
    [InlineData("(lp0\nI1\naI2\na.")]
    [InlineData("ccollections\nOrderedDict\np0\n((lp1\ntRp2\n.")]
    [InlineData("}q\u0000.")]
    [InlineData("]q\u0000(K\u0001e.")]
    public async Task Open_PickleOfAnOldProtocol_IsKnownAsOne(string pickle) =>
        await TorchOpening.InvalidAsync(Encoding.Latin1.GetBytes(pickle), CheckpointErrorCode.NoWeights);

    [Theory]
    [InlineData("(c) 2024 Example Corp. All rights reserved.\n")]
    [InlineData("curl: (22) The requested URL returned error: 404\n")]
    [InlineData("cannot find\nthat file\n")]
    [InlineData("]]>")]
    [InlineData("}\n")]
    [InlineData("(see the manual)")]
    [InlineData("<!DOCTYPE html><html>")]
    [InlineData("{\"error\": \"x\"}")]
    [InlineData("Entry not found")]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")]
    public async Task F1_TextUnderThePytorchEnding_IsNotTakenForAPickle(string text)
    {
        Assert.False(new TorchFormat(TorchLimits.Default).Matches(Encoding.ASCII.GetBytes(text)));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(Encoding.ASCII.GetBytes(text), "pytorch_model.bin")));
        Assert.Contains(exception.Code, (CheckpointErrorCode[])[CheckpointErrorCode.UnknownFormat, CheckpointErrorCode.HtmlPage, CheckpointErrorCode.GitLfsPointer]);
    }

    [Fact]
    public async Task F1_ZerosUnderThePytorchEnding_AreAnInterruptedDownload()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(new MemorySource(new byte[4096], "pytorch_model.bin")));
        Assert.Equal(CheckpointErrorCode.ZeroFilled, exception.Code);
    }

    [Fact]
    public async Task F1_ArchiveWhoseTailIsMissingOrZero_IsRefused()
    {
        var file = new TorchBuilder().AddStorage("0", new byte[1000]).ToArchive(Dictionary(("a", Storage("ByteStorage", "0", 1000))));
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(new MemorySource(file.AsMemory(0, 800))));
        file.AsSpan(800).Clear();
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(new MemorySource(file)));
    }

    [Fact]
    public async Task Open_SafetensorsWhoseLengthLooksLikeAPickle_IsSafetensors()
    {
        // 0x0280 bytes of header: the file begins with 80 02.
        var header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.File(header.PadRight(0x280), [7])));
        Assert.Equal("safetensors", checkpoint.Format);
    }

    private static byte[] Type(string code, string order) =>
        [.. Call("numpy", "dtype", Text(code), Truth(false), Truth(true)), .. Tuple(Whole(3), Text(order), None, None, None, Whole(-1), Whole(-1), Whole(0)), (byte)'b'];

    private static byte[] Array(string core, string code, string order, long[] shape, bool isFortran, byte[] data) =>
    [
        .. Call(core + ".multiarray", "_reconstruct", Global("numpy", "ndarray"), Numbers(0), Bytes((byte)'b')),
        .. Tuple(Whole(1), Numbers(shape), Type(code, order), Truth(isFortran), data), (byte)'b',
    ];
}
