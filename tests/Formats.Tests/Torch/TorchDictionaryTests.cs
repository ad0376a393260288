using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What dictionaries of any kind hold, which of their keys are one, and what is kept of records of other classes.</summary>
public sealed class TorchDictionaryTests
{
    public static TheoryData<string, byte[], string[]> Arguments => new()
    {
        { "pairs as lists", List(List(Text("a"), At(0)), List(Text("b"), At(1))), ["a", "b"] },
        { "pairs as tuples", List(Tuple(Text("a"), At(0)), Tuple(Text("b"), At(1))), ["a", "b"] },
        { "a tuple of pairs", Tuple(Tuple(Text("a"), At(0)), Tuple(Text("b"), At(1))), ["a", "b"] },
        { "a dict", Dictionary(("a", At(0)), ("b", At(1))), ["a", "b"] },
        { "an OrderedDict", Ordered(null, ("a", At(0)), ("b", At(1))), ["a", "b"] },
        { "an OrderedDict of an OrderedDict", Call("collections", "OrderedDict", Ordered(null, ("a", At(0)), ("b", At(1)))), ["a", "b"] },
    };

    [Theory]
    [MemberData(nameof(Arguments))]
    public async Task Open_OrderedDictOfAnything_HasItsArgumentsAndThenWhatWasSet(string what, byte[] argument, string[] names)
    {
        Assert.NotEmpty(what);
        var made = Call("collections", "OrderedDict", argument);
        await using (var checkpoint = await OpenAsync(made))
        {
            Assert.Equal(names, checkpoint.Tensors.Select(tensor => tensor.Name));
        }

        // 'a' is set again: it keeps its place, and takes the later value.
        byte[] more = [.. made, (byte)'(', .. Text("c"), .. At(2), .. Text("a"), .. Whole(5), (byte)'u'];
        await using var grown = await OpenAsync(more);
        Assert.Equal([.. names[1..], "c"], grown.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(5L, grown.Metadata["a"]);
    }

    [Fact]
    public async Task Open_OrderedDictOfWhatAreNoPairs_IsRefused()
    {
        foreach (var argument in (byte[][])[Whole(1), List(At(0)), List(Tuple(Text("a"))), Text("ab")])
        {
            await TorchOpening.InvalidAsync(Archive(Dictionary(("x", Call("collections", "OrderedDict", argument)))), CheckpointErrorCode.PickleInvalid, "x");
        }
    }

    [Fact]
    public async Task Open_KeysThatAreRecords_AreSpelledByTheirValues()
    {
        byte[] Scalar(byte value) => Call("numpy.core.multiarray", "scalar", Type("i1"), Bytes(value));
        await using var checkpoint = await OpenAsync(Dictionary(
        [
            (Scalar(0), At(0)),
            (Scalar(1), At(1)),
            (Call("_codecs", "encode", Text("a"), Text("latin1")), At(2)),
            (Bytes((byte)'b'), At(3)),
            (Tuple(Whole(0), Tuple(Whole(1), Whole(2))), At(4)),
            (Tuple(Whole(0), Tuple(Whole(1), Whole(3))), At(5)),
            (Call("torch", "device", Text("cuda"), Whole(1)), At(6)),
        ]));
        Assert.Equal(["0", "1", "61", "62", "(0, (1, 2))", "(0, (1, 3))", "cuda:1"], checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_KeysThatPythonHoldsEqual_AreOne()
    {
        (byte[] First, byte[] Second, string Name)[] pairs =
        [
            (Whole(1), Truth(true), "1"),
            (Truth(true), Real(1), "True"),
            (Tuple(Whole(0), Text("x")), Tuple(Truth(false), Text("x")), "(0, x)"),
            (Bytes(1, 2), Call("_codecs", "encode", Text("\u0001\u0002"), Text("latin1")), "0102"),
        ];
        foreach (var (first, second, name) in pairs)
        {
            await using var checkpoint = await OpenAsync(Dictionary([(first, Whole(9)), (Text("between"), At(1)), (second, At(2))]));
            Assert.Equal(["between", name], checkpoint.Tensors.Select(tensor => tensor.Name).OrderBy(found => found == name));
            Assert.Equal(2, checkpoint[name].StorageOffset);
            Assert.Empty(checkpoint.Metadata);
        }
    }

    [Fact]
    public async Task Open_KeysThatPythonHoldsApart_StayTwo()
    {
        await using var checkpoint = await OpenAsync(Dictionary([(Text("1"), At(0)), (Bytes((byte)'1'), At(1)), (Tuple(Whole(1)), At(2)), (None, At(3))]));
        Assert.Equal(["1", "31", "(1)", "None"], checkpoint.Tensors.Select(tensor => tensor.Name));
        var exception = await TorchOpening.InvalidAsync(Archive(Dictionary([(Whole(1), At(0)), (Text("1"), At(1))])), CheckpointErrorCode.DuplicateTensor, "1");
        Assert.Contains("differ", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_RecordWithStateAndTensorsInItsArguments_HasBoth()
    {
        byte[] record = [.. Call("my", "Wrapped", Whole(3), At(0)), .. Dictionary(("lr", Real(1))), (byte)'b'];
        await using var checkpoint = await OpenAsync(Dictionary(("r", record)), TorchOpening.Admitting);
        Assert.Equal("r.1", Assert.Single(checkpoint.Tensors).Name);
        Assert.Equal(1d, checkpoint.Metadata["r.lr"]);
    }

    [Fact]
    public async Task Open_RecordWithItemsAndTensorsInItsArguments_WarnsOfThese()
    {
        byte[] record = [.. Call("collections", "deque", List(At(0))), (byte)'(', .. At(1), (byte)'e'];
        await using var checkpoint = await OpenAsync(Dictionary(("r", record)), TorchOpening.Admitting);
        Assert.Equal("r.0", Assert.Single(checkpoint.Tensors).Name);
        Assert.Contains("'r.0'", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TensorSetOnATensor_IsBelowIt()
    {
        var state = Dictionary(("foo", At(1)), ("note", Whole(1)));
        var function = Global("torch._utils", "_rebuild_tensor_v2");
        var arguments = Tuple(Storage("ByteStorage", "0", 8), Whole(0), Numbers(1), Numbers(1), Truth(false), Call("collections", "OrderedDict"));
        await using var checkpoint = await OpenAsync(Dictionary(
            ("p", Call("torch._utils", "_rebuild_parameter_with_state", At(0), Truth(true), Call("collections", "OrderedDict"), state)),
            ("t", Call("torch._tensor", "_rebuild_from_type_v2", function, Global("torch", "Tensor"), arguments, state))));
        Assert.Equal(["p", "p.foo", "t", "t.foo"], checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Open_FrozensetOfAnOldProtocol_IsAList()
    {
        await using var checkpoint = await OpenAsync(Dictionary(("a", At(0)), ("f", Call("__builtin__", "frozenset", List(Whole(1), Whole(2))))));
        Assert.Equal(new TorchList(1L, 2L), checkpoint.Metadata["f"]);
    }

    [Fact]
    public async Task Open_DTypeOfObjectsByItself_IsNoReasonToRefuse()
    {
        await using var checkpoint = await OpenAsync(Dictionary(("a", At(0)), ("t", Type("O8"))));
        Assert.Equal("O8", checkpoint.Metadata["t"]);
    }

    [Fact]
    public async Task P1_ArrayWithAFieldOfObjects_IsRefused()
    {
        byte[] structure =
        [
            .. Call("numpy", "dtype", Text("V8"), Truth(false), Truth(true)),
            .. Tuple(Whole(3), Text("|"), None, Tuple(Text("f")), Dictionary(("f", Tuple(Type("O8"), Whole(0)))), Whole(8), Whole(1), Whole(27)), (byte)'b',
        ];
        byte[] array =
        [
            .. Call("numpy.core.multiarray", "_reconstruct", Global("numpy", "ndarray"), Numbers(0), Bytes((byte)'b')),
            .. Tuple(Whole(1), Numbers(1), structure, Truth(false), List(Tuple(Text("anything")))), (byte)'b',
        ];
        await TorchOpening.RefusedAsync<UnsafePickleException>(Archive(Dictionary(("a", array))), CheckpointErrorCode.UnsafePickle);
        await using var alone = await OpenAsync(Dictionary(("a", At(0)), ("t", structure)));
        Assert.Equal("V8", alone.Metadata["t"]);
    }

    [Fact]
    public async Task Open_Root_NarrowsMetadataToo()
    {
        var value = Dictionary(("model", Dictionary(("w", At(0)), ("w.q_scale", Real(0.5)))), ("epoch", Whole(3)), ("w.q_scale", Real(9)));
        await using var checkpoint = await OpenAsync(value, new CheckpointOptions { Root = "model" });
        Assert.Equal("w", Assert.Single(checkpoint.Tensors).Name);
        Assert.Equal((0.5, 3L), (checkpoint.Metadata["w.q_scale"], checkpoint.Metadata["epoch"]));
        Assert.DoesNotContain("model.w.q_scale", checkpoint.Metadata.Keys);
    }

    private static byte[] At(long offset) => Tensor(Storage("ByteStorage", "0", 8), offset, [1], [1]);

    private static byte[] Archive(byte[] value) => new TorchBuilder().AddStorage("0", new byte[8]).ToArchive(value);

    private static Task<Checkpoint> OpenAsync(byte[] value, CheckpointOptions? options = null) => TorchOpening.AcceptedAsync(Archive(value), options);

    private static byte[] Type(string code) =>
        [.. Call("numpy", "dtype", Text(code), Truth(false), Truth(true)), .. Tuple(Whole(3), Text("|"), None, None, None, Whole(-1), Whole(-1), Whole(0)), (byte)'b'];
}
