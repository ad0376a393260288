using System.Numerics;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What tensors and other values are called, and that no shape of a pickle's values takes longer than its file is worth.</summary>
public sealed class TorchNamesTests
{
    private static byte[] One => Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1]);

    [Fact]
    public async Task Open_Paths_AreKeysAndPositionsJoinedByDots()
    {
        await using var checkpoint = await OpenAsync(Dictionary(
            ("dict", Dictionary([(Whole(7), One), (Whole(-1), One), (Truth(true), One), (Real(0.5), One), (Tuple(Text("x"), Whole(2)), One)])),
            ("list", List(One, Tuple(Whole(1), One), Dictionary(("b.c", One)))),
            ("", One)));
        Assert.Equal(
            ["", "dict.(x, 2)", "dict.-1", "dict.0.5", "dict.7", "dict.True", "list.0", "list.1.1", "list.2.b.c"],
            checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(1L, checkpoint.Metadata["list.1.0"]);
    }

    [Fact]
    public async Task Open_BareTensor_IsADot() => Assert.Equal(".", Assert.Single((await OpenAsync(One)).Tensors).Name);

    [Fact]
    public async Task Open_TwoPathsWithOneName_NamesBoth()
    {
        var exception = await InvalidAsync(Dictionary(("a", Dictionary(("b", One))), ("a.b", One)), CheckpointErrorCode.DuplicateTensor, "a.b");
        Assert.Contains("'a' → 'b' and 'a.b'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_KeySetTwice_TakesTheLastValue()
    {
        await using var checkpoint = await OpenAsync(Dictionary(("a", Whole(1)), ("b", Whole(2)), ("a", One)));
        Assert.Equal("a", Assert.Single(checkpoint.Tensors).Name);
        Assert.Equal(["b"], checkpoint.Metadata.Keys);
    }

    [Fact]
    public async Task Open_NameWithHalfASurrogatePair_IsRefused()
    {
        byte[] key = [(byte)'X', 3, 0, 0, 0, 0xed, 0xa0, 0x80];
        await InvalidAsync(Dictionary([(key, One)]), CheckpointErrorCode.TensorNameInvalid, "\ud800");
    }

    [Fact]
    public async Task Open_Ordered_LeavesOutItsAttributesAndTakesPythonTwosPairs()
    {
        await using var checkpoint = await OpenAsync(Ordered(Dictionary(("_metadata", Dictionary(("version", Whole(1))))), ("a", One)));
        Assert.Equal("a", Assert.Single(checkpoint.Tensors).Name);
        Assert.Empty(checkpoint.Metadata);
        await using var old = await OpenAsync(Call("collections", "OrderedDict", List(List(Text("w"), One), List(Text("n"), Whole(1)))));
        Assert.Equal("w", Assert.Single(old.Tensors).Name);
        Assert.Equal(1L, old.Metadata["n"]);
    }

    [Fact]
    public async Task Open_OtherValues_KeepTheirTypes()
    {
        await using var checkpoint = await OpenAsync(Dictionary(
            ("none", None),
            ("true", Truth(true)),
            ("long", Whole(long.MinValue)),
            ("big", Whole(BigInteger.Pow(10, 30))),
            ("double", Real(-0.5)),
            ("text", Text("a\nb")),
            ("bytes", Bytes(0, 255)),
            ("encoded", Call("_codecs", "encode", Text("\u0000\u00ff"), Text("latin1"))),
            ("empty", Call("__builtin__", "bytes")),
            ("array", Call("builtins", "bytearray", Bytes(7))),
            ("complex", Call("builtins", "complex", Real(1), Real(-2))),
            ("device", Call("torch", "device", Text("cuda"), Whole(1))),
            ("dtype", Global("torch", "float16")),
            ("layout", Call("torch.serialization", "_get_layout", Text("torch.strided"))),
            ("size", Call("torch", "Size", Numbers(2, 3))),
            ("set", Call("builtins", "set", List(Whole(1)))),
            ("list", List(Whole(1), Tuple(Text("x"), None), List()))));
        object[] expected =
        [
            DBNull.Value, true, long.MinValue, BigInteger.Pow(10, 30), -0.5, "a\nb", new byte[] { 0, 255 }, new byte[] { 0, 255 }, Array.Empty<byte>(), new byte[] { 7 },
            new Complex(1, -2), "cuda:1", "torch.float16", "torch.strided", new TorchList(2L, 3L), new TorchList(1L), new TorchList(1L, new TorchList("x", DBNull.Value), new TorchList()),
        ];
        Assert.Equal(expected, checkpoint.Metadata.Values);
    }

    [Fact]
    public async Task Open_Module_HasItsStateDictInItsOrder()
    {
        byte[] Module(params (string Key, byte[] Value)[] entries) => Instance("my.models", "Net", Dictionary(
        [
            ("training", Truth(true)), .. entries, ("_forward_hooks", Dictionary(("0", One))), ("width", Whole(3)),
        ]));
        var storage = Storage("ByteStorage", "0", 4);
        byte[] At(long offset) => Tensor(storage, offset, [1], [1]);
        var child = Module(("_parameters", Dictionary(("weight", At(2)), ("bias", None))), ("_buffers", Dictionary()), ("_modules", Dictionary()));
        await using var checkpoint = await OpenAsync(
            Dictionary(("net", Module(
                ("_parameters", Dictionary(("p", At(0)))),
                ("_buffers", Ordered(null, ("kept", At(1)), ("passing", At(3)))),
                ("_non_persistent_buffers_set", Call("__builtin__", "set", List(Text("passing")))),
                ("_modules", Ordered(null, ("module", child), ("none", None))),
                ("plain", At(3))))),
            TorchOpening.Admitting);
        Assert.Equal(["net.p", "net.kept", "net.module.weight"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(3L, checkpoint.Metadata["net.width"]);
        Assert.Equal(3L, checkpoint.Metadata["net.module.width"]);
        Assert.DoesNotContain(checkpoint.Metadata.Keys, key => key.Contains('_', StringComparison.Ordinal));
        Assert.Contains("'net.plain'", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ModuleWithTensorsInNamesOfUnderscores_LeavesNoneOutSilently()
    {
        byte[] Module(params (string Key, byte[] Value)[] entries) => Instance("my.models", "Net", Dictionary(
        [
            ("_parameters", Dictionary()), ("_buffers", Dictionary()), ("_modules", Dictionary()), .. entries,
        ]));
        await using var checkpoint = await OpenAsync(
            Module(("_cache", One), ("_nested", Dictionary(("deep", One))), ("_forward_hooks", Dictionary(("0", One))), ("_width", Whole(3))),
            TorchOpening.Admitting);
        Assert.Empty(checkpoint.Tensors);
        Assert.Equal(3L, checkpoint.Metadata["_width"]);
        Assert.Collection(
            checkpoint.Warnings.Select(warning => warning.Message),
            warning =>
            {
                Assert.Contains("'_cache', '_nested.deep'", warning, StringComparison.Ordinal);
                Assert.DoesNotContain("hooks", warning, StringComparison.Ordinal);
                Assert.DoesNotContain("leaves them out too", warning, StringComparison.Ordinal);
            },
            warning => Assert.Contains("1 storages", warning, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_QuantisedModule_HasItsPackedWeights()
    {
        // As torch.save writes a module of quantize_dynamic: its packed weights are a record of a class of PyTorch's, in a module.
        byte[] Module(byte[] children, params (string Key, byte[] Value)[] entries) => Instance("torch.ao.nn.quantized", "Linear", Dictionary(
        [
            ("training", Truth(false)), ("_parameters", Dictionary()), ("_buffers", Dictionary()), ("_modules", children), .. entries,
        ]));
        var packed = Instance("torch._C", "ScriptObject", Tuple(Tuple(One, None), Text("LinearPackedParamsBase")));
        var linear = Module(Dictionary(("_packed_params", Module(Dictionary(), ("_packed_params", packed)))), ("scale", Real(1)));
        await using var checkpoint = await OpenAsync(Module(Dictionary(("0", linear))), TorchOpening.Admitting);
        Assert.Equal("0._packed_params._packed_params.0.0", Assert.Single(checkpoint.Tensors).Name);
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_StoragesAndNoTensorAtAll_IsAWarning()
    {
        await using var checkpoint = await OpenAsync(Dictionary(("epoch", Whole(3))));
        Assert.Empty(checkpoint.Tensors);
        Assert.Contains("no tensor", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ForeignRecords_AreLookedThroughWhereverTheyHoldSomething()
    {
        await using var checkpoint = await OpenAsync(
            Dictionary(
                ("state", Instance("argparse", "Namespace", Dictionary(("lr", Real(0.1)), ("w", One)))),
                ("slots", Instance("my", "Slots", Tuple(None, Dictionary(("s", One))))),
                ("arguments", Call("my", "Pair", One, Whole(1))),
                ("path", Call("pathlib", "PosixPath", Text("a"), Text("b"))),
                ("items", [.. Call("collections", "deque"), (byte)'(', .. One, .. Whole(5), (byte)'e']),
                ("entries", [.. Call("collections", "defaultdict", Global("builtins", "list")), (byte)'(', .. Text("k"), .. One, (byte)'u'])),
            TorchOpening.Admitting);
        Assert.Equal(
            ["arguments.0", "entries.k", "items.0", "slots.s", "state.w"], checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(0.1, checkpoint.Metadata["state.lr"]);
        Assert.Equal(1L, checkpoint.Metadata["arguments.1"]);
        Assert.Equal(5L, checkpoint.Metadata["items.1"]);
        Assert.Equal(new TorchList("a", "b"), checkpoint.Metadata["path"]);
    }

    [Fact]
    public async Task Open_RecordThatHoldsItself_EndsThere()
    {
        // a = Node(); a.self = a; a.w = tensor
        byte[] value =
        [
            .. Put([.. Global("my", "Node"), (byte)')', 0x81], 0), .. Dictionary([(Text("self"), Get(0)), (Text("w"), One)]), (byte)'b',
        ];
        await using var checkpoint = await OpenAsync(Dictionary(("a", value)), TorchOpening.Admitting);
        Assert.Equal("a.w", Assert.Single(checkpoint.Tensors).Name);
    }

    [Fact]
    public async Task Open_ListThatHoldsItself_EndsThere()
    {
        byte[] value = [.. Put("]"u8.ToArray(), 0), (byte)'(', .. Get(0), .. One, (byte)'e'];
        await using var checkpoint = await OpenAsync(value);
        Assert.Equal("1", Assert.Single(checkpoint.Tensors).Name);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task P10_ListsSharedSoOftenThatTheirPathsNeverEnd_AreRefused(bool holdsTensor)
    {
        // Each level holds the one below twice: 2^60 paths in some 700 bytes.
        var value = new List<byte>(Put(holdsTensor ? List(One) : List(Whole(1)), 0));
        for (byte level = 1; level <= 60; level++)
        {
            value.AddRange(Put(List(Get((byte)(level - 1)), Get((byte)(level - 1))), level));
        }

        // Only the last is left to be the object: the stack keeps the others below it.
        var exception = await TorchOpening.RefusedAsync<CheckpointLimitException>(
            new TorchBuilder().AddStorage("0", new byte[4]).ToArchive([.. value]), CheckpointErrorCode.LimitExceeded);
        Assert.Equal("TorchLimits.MaximumEntryBytes", exception.Option);
    }

    [Fact]
    public async Task P10_KeysThatAreLongAndDeep_AreRefusedBeforeTheirNamesAreMade()
    {
        var key = Put(Text(new string('k', 100_000)), 0);
        byte[] file = [.. key, .. Enumerable.Repeat((byte)'}', 500).SelectMany(open => new[] { open, (byte)'h', (byte)0 }), .. One, .. Enumerable.Repeat((byte)'s', 500)];
        var exception = await TorchOpening.RefusedAsync<CheckpointLimitException>(
            new TorchBuilder().AddStorage("0", new byte[4]).ToArchive(file), CheckpointErrorCode.LimitExceeded);
        Assert.Equal("TorchLimits.MaximumEntryBytes", exception.Option);
    }

    [Theory]
    [InlineData("state_dict", "state_dict")]
    [InlineData("model", "model")]
    [InlineData("model_state_dict", "model_state_dict")]
    [InlineData("weights", null)]
    [InlineData("model,state_dict", null)]
    public async Task Open_WeightsRoot_IsTheOneKnownKeyThatHoldsTensors(string keys, string? root)
    {
        await using var checkpoint = await OpenAsync(Dictionary(
            [.. keys.Split(',').Select(key => (key, Dictionary(("w", One)))), ("optimizer", Dictionary(("m", One))), ("epoch", Whole(1))]));
        Assert.Equal(root, checkpoint.WeightsRoot);
    }

    [Fact]
    public async Task Open_TensorCalledModel_IsNoRoot() =>
        Assert.Null((await OpenAsync(Dictionary(("model", One), ("state_dict", Dictionary())))).WeightsRoot);

    private static Task<Checkpoint> OpenAsync(byte[] value, CheckpointOptions? options = null) =>
        TorchOpening.AcceptedAsync(new TorchBuilder().AddStorage("0", [1, 2, 3, 4]).ToArchive(value), options);

    private static Task<InvalidCheckpointException> InvalidAsync(byte[] value, CheckpointErrorCode code, string tensor) =>
        TorchOpening.InvalidAsync(new TorchBuilder().AddStorage("0", [1, 2, 3, 4]).ToArchive(value), code, tensor);
}
