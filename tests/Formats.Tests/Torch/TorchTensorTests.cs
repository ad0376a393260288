using System.Numerics;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>How records of tensors are read and held against their storages (bad inputs P4 and P6).</summary>
public sealed class TorchTensorTests
{
    private static readonly byte[] Sixteen = [.. Enumerable.Range(0, 16).Select(value => (byte)value)];

    [Theory]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 2, 1 }, true)]
    [InlineData(1, new long[] { 3 }, new long[] { 1 }, false)]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 1, 2 }, false)]
    [InlineData(3, new long[] { 5, 1 }, new long[] { 0, 7 }, false)]
    [InlineData(0, new long[] { 3 }, new long[] { 1 }, false)]
    [InlineData(0, new long[] { }, new long[] { }, false)]
    [InlineData(0, new long[] { 1, 4 }, new long[] { 99, 1 }, false)]
    public async Task Open_View_HasStridesWhereItIsNotTheWholeStorageInOrder(long offset, long[] shape, long[] strides, bool isWhole)
    {
        foreach (var file in Both(Tensor(Storage("FloatStorage", "0", 4), offset, shape, strides), Tensor(Storage("FloatStorage", "0", 4, None), offset, shape, strides), 4))
        {
            await using var checkpoint = await TorchOpening.AcceptedAsync(file);
            var tensor = checkpoint["a"];
            Assert.Equal((DType.F32, offset, 16L), (tensor.DType, tensor.StorageOffset, tensor.ByteLength));
            Assert.Equal(shape, tensor.Shape);
            Assert.Equal(isWhole, tensor.Strides.IsDefault);
            Assert.Equal(strides, TorchOpening.Strides(tensor));
            Assert.Equal(Walk(offset, shape, strides, 4), await TorchOpening.ValuesAsync(tensor));
        }
    }

    [Theory]
    [InlineData(5, new long[] { 0 }, new long[] { 1 })]
    [InlineData(0, new long[] { 3, 0, 2 }, new long[] { 2, 2, 1 })]
    public async Task Open_ViewWithoutElements_MayBeginAnywhere(long offset, long[] shape, long[] strides)
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(Tensor(Storage("FloatStorage", "0", 4), offset, shape, strides)));
        Assert.Equal(0, checkpoint["a"].ElementCount);
    }

    [Theory]
    [InlineData("-1", new long[] { 1 }, new long[] { 1 }, CheckpointErrorCode.StorageInvalid, "the storage offset is -1")]
    [InlineData("0", new long[] { -1 }, new long[] { 1 }, CheckpointErrorCode.StorageInvalid, "a size is -1")]
    [InlineData("0", new long[] { 1 }, new long[] { -1 }, CheckpointErrorCode.StorageInvalid, "a stride is -1")]
    [InlineData("0", new long[] { 1, 1 }, new long[] { 1 }, CheckpointErrorCode.StorageInvalid, "2 sizes and 1 strides")]
    [InlineData("0", new long[] { 5 }, new long[] { 1 }, CheckpointErrorCode.StorageInvalid, "number 5 of a storage of 4")]
    [InlineData("4", new long[] { 1 }, new long[] { 1 }, CheckpointErrorCode.StorageInvalid, "number 5 of a storage of 4")]
    [InlineData("0", new long[] { 2 }, new long[] { 1L << 62 }, CheckpointErrorCode.StorageInvalid, "number 4611686018427387905")]
    [InlineData("0", new long[] { 4 }, new long[] { 1L << 62 }, CheckpointErrorCode.SizeOverflow, "64 bits")]
    [InlineData("0", new long[] { 5, 5 }, new long[] { 1L << 62, 1L << 62 }, CheckpointErrorCode.SizeOverflow, "64 bits")]
    [InlineData("0", new long[] { 1L << 62, 4 }, new long[] { 0, 0 }, CheckpointErrorCode.SizeOverflow, "64 bits")]
    [InlineData("9223372036854775807", new long[] { 1 }, new long[] { 1 }, CheckpointErrorCode.SizeOverflow, "64 bits")]
    [InlineData("18446744073709551616", new long[] { 1 }, new long[] { 1 }, CheckpointErrorCode.SizeOverflow, "64 bits")]
    public async Task P6_ViewThatLeavesItsStorage_IsRefused(string offset, long[] shape, long[] strides, CheckpointErrorCode code, string says)
    {
        var number = BigInteger.Parse(offset, System.Globalization.CultureInfo.InvariantCulture);
        foreach (var file in Both(Tensor(Storage("FloatStorage", "0", 4), number, shape, strides), Tensor(Storage("FloatStorage", "0", 4, None), number, shape, strides), 4))
        {
            var exception = await TorchOpening.InvalidAsync(file, code, "a");
            Assert.Contains(says, exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("1")]
    public async Task P6_ViewThatRepeatsItsStorageToMoreBytesThan64BitsCount_IsRefused(string offset)
    {
        var number = BigInteger.Parse(offset, System.Globalization.CultureInfo.InvariantCulture);
        foreach (var file in Both(Tensor(Storage("FloatStorage", "0", 4), number, [1L << 62], [0]), Tensor(Storage("FloatStorage", "0", 4, None), number, [1L << 62], [0]), 4))
        {
            await TorchOpening.InvalidAsync(file, CheckpointErrorCode.SizeOverflow, "a");
        }
    }

    [Fact]
    public async Task P6_ViewThatRepeatsItsStorageBeyondTheLimit_NamesTheOption()
    {
        var storage = Storage("FloatStorage", "0", 4);
        var file = new TorchBuilder().AddStorage("0", new byte[16]).ToArchive(
            Dictionary(("a", Tensor(storage, 0, [1L << 60], [0])), ("b", Tensor(storage, 1, [1L << 60], [0]))));
        var exception = await TorchOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded);
        Assert.Equal(("TorchLimits.MaximumExpandedBytes", 1L << 36), (exception.Option, exception.Maximum));
        Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);

        // Allowed, both open, although their sizes together overflow.
        await using var checkpoint = await TorchOpening.AcceptedAsync(file, new CheckpointOptions { Torch = new TorchLimits { MaximumExpandedBytes = long.MaxValue } });
        Assert.Equal(16, checkpoint.TensorBytes);
        Assert.All(checkpoint.Tensors, tensor => Assert.Equal(1L << 62, tensor.DataByteLength));
    }

    [Theory]
    [InlineData(1L << 34, true)]
    [InlineData((1L << 34) + 1, false)]
    public async Task P6_ViewThatRepeatsItsStorage_MayHave64Gibibytes(long count, bool isAccepted)
    {
        var file = Archive(Tensor(Storage("FloatStorage", "0", 4), 0, [count], [0]));
        if (isAccepted)
        {
            await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        }
        else
        {
            await TorchOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded);
        }
    }

    [Fact]
    public async Task Open_TypedTensorOfNoDType_NamesTensorAndWhatItIs()
    {
        var value = Call(
            "torch._utils", "_rebuild_tensor_v3", Storage("UntypedStorage", "0", 16), Whole(0), Numbers(4), Numbers(1), Truth(false), Call("collections", "OrderedDict"), None);
        var exception = await TorchOpening.InvalidAsync(Archive(value), CheckpointErrorCode.UnknownDType, "a");
        Assert.Contains("its dtype is no dtype", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P6_MoreThan64Dimensions_AreRefused()
    {
        var ones = Enumerable.Repeat(1L, 65).ToArray();
        await TorchOpening.InvalidAsync(Archive(Tensor(Storage("FloatStorage", "0", 4), 0, ones, ones)), CheckpointErrorCode.StorageInvalid, "a");
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(Tensor(Storage("FloatStorage", "0", 4), 0, ones[1..], ones[1..])));
        Assert.Equal(64, checkpoint["a"].Shape.Rank);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    public async Task P6_RecordOfAnotherSizeThanThePickleSays_IsRefused(long count)
    {
        var value = Tensor(Storage("FloatStorage", "0", count), 0, [1], [1]);
        var exception = await TorchOpening.InvalidAsync(Archive(value), CheckpointErrorCode.SizeMismatch, "a");
        Assert.Contains("16 bytes", exception.Message, StringComparison.Ordinal);
        var stream = new TorchBuilder().AddStorage("0", Sixteen, 4).ToStream(Dictionary(("a", Tensor(Storage("FloatStorage", "0", count, None), 0, [1], [1]))));
        await TorchOpening.InvalidAsync(stream, CheckpointErrorCode.SizeMismatch);
    }

    [Theory]
    [InlineData("-1", CheckpointErrorCode.StorageInvalid)]
    [InlineData("9223372036854775807", CheckpointErrorCode.SizeOverflow)]
    [InlineData("18446744073709551616", CheckpointErrorCode.SizeOverflow)]
    public async Task P4_NumberOfElementsThatCannotBe_IsRefused(string count, CheckpointErrorCode code) => await TorchOpening.InvalidAsync(
        Archive(Tensor(Storage("FloatStorage", "0", BigInteger.Parse(count, System.Globalization.CultureInfo.InvariantCulture)), 0, [1], [1])), code, "a");

    public static TheoryData<string, byte[]> BadReferences => new()
    {
        { "module", Reference(Text("module"), Global("torch", "Size"), None, None) },
        { "short", Reference(Text("storage"), Global("torch", "FloatStorage"), Text("0"), Text("cpu")) },
        { "empty", Reference() },
        { "unknown type", Storage("QuadStorage", "0", 4) },
        { "dtype as type", Reference(Text("storage"), Global("torch", "float32"), Text("0"), Text("cpu"), Whole(4)) },
        { "number as type", Reference(Text("storage"), Whole(1), Text("0"), Text("cpu"), Whole(4)) },
        { "number as key", Reference(Text("storage"), Global("torch", "FloatStorage"), Whole(0), Text("cpu"), Whole(4)) },
        { "text as count", Reference(Text("storage"), Global("torch", "FloatStorage"), Text("0"), Text("cpu"), Text("4")) },
        { "typed without type", Reference(Text("storage"), Global("torch.storage", "TypedStorage"), Text("0"), Text("cpu"), Whole(4)) },
    };

    [Theory]
    [MemberData(nameof(BadReferences))]
    public async Task P4_ReferenceThatIsNoStorage_IsRefused(string what, byte[] reference)
    {
        Assert.NotEmpty(what);
        var value = Tensor(reference, 0, [1], [1]);
        if (what == "unknown type")
        {
            // The class itself is on no list.
            await TorchOpening.RefusedAsync<UnsafePickleException>(Archive(value), CheckpointErrorCode.UnsafePickle);
            value = Tensor(Reference(Text("storage"), Text("QuadStorage"), Text("0"), Text("cpu"), Whole(4)), 0, [1], [1]);
        }

        await TorchOpening.InvalidAsync(Archive(value), CheckpointErrorCode.StorageInvalid, "a");
    }

    [Fact]
    public async Task P4_ReferenceThatIsNoTuple_IsRefused() =>
        await TorchOpening.InvalidAsync(Archive([.. Text("storage"), (byte)'Q']), CheckpointErrorCode.PickleInvalid);

    [Theory]
    [InlineData("DoubleStorage", DType.F64)]
    [InlineData("FloatStorage", DType.F32)]
    [InlineData("HalfStorage", DType.F16)]
    [InlineData("BFloat16Storage", DType.BF16)]
    [InlineData("LongStorage", DType.I64)]
    [InlineData("IntStorage", DType.I32)]
    [InlineData("ShortStorage", DType.I16)]
    [InlineData("CharStorage", DType.I8)]
    [InlineData("ByteStorage", DType.U8)]
    [InlineData("BoolStorage", DType.BOOL)]
    [InlineData("ComplexFloatStorage", DType.C64)]
    [InlineData("ComplexDoubleStorage", DType.C128)]
    [InlineData("QInt8Storage", DType.I8)]
    [InlineData("QUInt8Storage", DType.U8)]
    [InlineData("QInt32Storage", DType.I32)]
    [InlineData("UntypedStorage", DType.U8)]
    public async Task Open_BareStorageOfEveryClass_IsOneDimensionOfItsElements(string type, DType dtype)
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(Storage(type, "0", 16 / dtype.BlockSize)));
        Assert.Equal(dtype, checkpoint["a"].DType);
        Assert.Equal([16 / dtype.BlockSize], checkpoint["a"].Shape);
        Assert.True(checkpoint["a"].IsWholeStorage);
        Assert.Equal(type.StartsWith('Q'), checkpoint.Metadata.ContainsKey("a.dtype"));
    }

    [Theory]
    [InlineData("float8_e4m3fn", DType.F8_E4M3)]
    [InlineData("float8_e5m2", DType.F8_E5M2)]
    [InlineData("float8_e4m3fnuz", DType.F8_E4M3FNUZ)]
    [InlineData("float8_e5m2fnuz", DType.F8_E5M2FNUZ)]
    [InlineData("float8_e8m0fnu", DType.F8_E8M0)]
    [InlineData("uint16", DType.U16)]
    [InlineData("uint32", DType.U32)]
    [InlineData("uint64", DType.U64)]
    [InlineData("complex32", DType.C32)]
    [InlineData("bfloat16", DType.BF16)]
    public async Task Open_TypedTensor_TakesItsDTypeOverBytes(string name, DType dtype)
    {
        var count = 16 / dtype.BlockSize;
        var value = Call(
            "torch._utils", "_rebuild_tensor_v3", Storage("UntypedStorage", "0", 16), Whole(1), Numbers(count - 1), Numbers(1), Truth(false), Call("collections", "OrderedDict"), Global("torch", name));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(value));
        Assert.Equal((dtype, 1L), (checkpoint["a"].DType, checkpoint["a"].StorageOffset));
        Assert.Equal(Sixteen[dtype.BlockSize..], await TorchOpening.ValuesAsync(checkpoint["a"]));
    }

    [Theory]
    [InlineData("_rebuild_parameter")]
    [InlineData("_rebuild_parameter_with_state")]
    public async Task Open_Parameter_IsItsTensor(string function)
    {
        var tensor = Tensor(Storage("FloatStorage", "0", 4), 0, [4], [1]);
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(Call("torch._utils", function, tensor, Truth(true), Dictionary(), Dictionary())));
        Assert.Equal("a", Assert.Single(checkpoint.Tensors).Name);
        await using var ofClass = await TorchOpening.AcceptedAsync(Archive(Call("torch.nn.parameter", "Parameter", tensor, Truth(true))));
        Assert.Equal("a", Assert.Single(ofClass.Tensors).Name);
    }

    [Fact]
    public async Task Open_TensorOfAClassOfItsOwn_IsWhatItsFunctionMakes()
    {
        var arguments = Tuple(Storage("FloatStorage", "0", 4), Whole(0), Numbers(4), Numbers(1), Truth(false), Dictionary());
        var value = Call("torch._tensor", "_rebuild_from_type_v2", Global("torch._utils", "_rebuild_tensor_v2"), Global("my", "Tensor"), arguments, Dictionary());
        await TorchOpening.RefusedAsync<UnsafePickleException>(Archive(value), CheckpointErrorCode.UnsafePickle);
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(value), TorchOpening.Admitting);
        Assert.Equal(DType.F32, checkpoint["a"].DType);
    }

    [Theory]
    [InlineData("_rebuild_meta_tensor_no_storage")]
    [InlineData("_rebuild_wrapper_subclass")]
    public async Task Open_TensorWithoutData_IsNamedInAWarning(string function)
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(Call("torch._utils", function, Global("torch", "float32"), Numbers(4), Numbers(1), Truth(false))));
        Assert.Empty(checkpoint.Tensors);
        Assert.Contains("'a'", checkpoint.Warnings[0].Message, StringComparison.Ordinal);
        Assert.Contains("no tensor is read", Assert.Single(checkpoint.Warnings.Skip(1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TensorOfADevice_IsTheHostsCopyWithItsDType()
    {
        var value = Call(
            "torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Tensor(Storage("FloatStorage", "0", 4), 0, [4], [1]), Global("torch", "bfloat16"), Text("xla:0"), Truth(false));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(value));
        Assert.Equal(DType.F32, checkpoint["a"].DType);
        Assert.Equal("torch.bfloat16", checkpoint.Metadata["a.dtype"]);
    }

    [Fact]
    public async Task Open_LazyConjugate_IsNotSupported()
    {
        var value = Call(
            "torch._utils", "_rebuild_tensor_v2", Storage("ComplexFloatStorage", "0", 2), Whole(0), Numbers(2), Numbers(1), Truth(false), Dictionary(), Dictionary(("conj", Truth(true))));
        var exception = await TorchOpening.RefusedAsync<UnsupportedCheckpointException>(Archive(value), CheckpointErrorCode.Unsupported);
        Assert.Equal("a", exception.Tensor);
    }

    [Fact]
    public async Task Open_PackedQuantised_IsBytesWithItsShapeInTheMetadata()
    {
        var value = Call(
            "torch._utils", "_rebuild_qtensor", Storage("QUInt4x2Storage", "0", 16), Whole(0), Numbers(4, 8), Numbers(8, 1),
            Tuple(Global("torch", "per_channel_affine_float_qparams"), List(Real(0.5), Real(0.25)), List(Real(1), Real(2)), Whole(0)), Truth(false), Dictionary());
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(value));
        Assert.Equal((DType.U8, 16L), (checkpoint["a"].DType, checkpoint["a"].ElementCount));
        Assert.Equal("torch.quint4x2", checkpoint.Metadata["a.dtype"]);
        Assert.Equal(new TorchList(4L, 8L), checkpoint.Metadata["a.size"]);
        Assert.Equal(new TorchList(0.5, 0.25), checkpoint.Metadata["a.q_per_channel_scales"]);
        Assert.Equal(new TorchList(1.0, 2.0), checkpoint.Metadata["a.q_per_channel_zero_points"]);
        Assert.Equal(0L, checkpoint.Metadata["a.q_per_channel_axis"]);
    }

    [Fact]
    public async Task Open_Nested_HasItsParts()
    {
        var part = Tensor(Storage("FloatStorage", "0", 4), 0, [4], [1]);
        var value = Call("torch._utils", "_rebuild_nested_tensor", part, part, part, part);
        await using var checkpoint = await TorchOpening.AcceptedAsync(Archive(value));
        Assert.Equal(["a.buffer", "a.sizes", "a.strides", "a.storage_offsets"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.All(checkpoint.Tensors.Skip(1), tensor => Assert.Equal("a.buffer", tensor.TiedTo));
    }

    [Fact]
    public async Task Open_BigEndianArchive_GivesLittleEndianNumbers()
    {
        var builder = new TorchBuilder().AddRecord("byteorder", "big"u8.ToArray()).AddStorage("0", Sixteen).AddStorage("1", Sixteen).AddStorage("2", Sixteen);
        await using var checkpoint = await TorchOpening.AcceptedAsync(builder.ToArchive(Dictionary(
            ("short", Storage("ShortStorage", "0", 8)), ("complex", Storage("ComplexDoubleStorage", "1", 1)), ("bytes", Storage("ByteStorage", "2", 16)))));
        Assert.Equal([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14], await TorchOpening.ValuesAsync(checkpoint["short"]));
        Assert.Equal([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8], await TorchOpening.ValuesAsync(checkpoint["complex"]));
        Assert.Equal(Sixteen, await TorchOpening.ValuesAsync(checkpoint["bytes"]));
        Assert.True(((TorchHeader)checkpoint.Files[0].Header!).IsBigEndian);
    }

    [Fact]
    public async Task Open_BigEndianStream_GivesLittleEndianNumbers()
    {
        var file = new TorchBuilder { IsBigEndian = true }.AddStorage("0", Sixteen, 4).ToStream(Dictionary(("a", Storage("IntStorage", "0", 4, None))));
        await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        Assert.Equal([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12], await TorchOpening.ValuesAsync(checkpoint["a"]));
    }

    private static byte[] Archive(byte[] value) => new TorchBuilder().AddStorage("0", Sixteen).ToArchive(Dictionary(("a", value)));

    private static byte[][] Both(byte[] ofArchive, byte[] ofStream, long count) =>
        [Archive(ofArchive), new TorchBuilder().AddStorage("0", Sixteen, count).ToStream(Dictionary(("a", ofStream)))];

    private static byte[] Walk(long offset, long[] shape, long[] strides, int size)
    {
        var count = shape.Aggregate(1L, (product, length) => product * length);
        var values = new List<byte>();
        for (long element = 0; element < count; element++)
        {
            var (rest, at) = (element, offset);
            for (var i = shape.Length - 1; i >= 0; i--)
            {
                at += rest % shape[i] * strides[i];
                rest /= shape[i];
            }

            values.AddRange(Sixteen.AsSpan((int)at * size, size));
        }

        return [.. values];
    }
}
