using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What a pickle may name (bad input P1): the list, what the option adds, and what nothing adds.</summary>
public sealed class TorchGlobalsTests
{
    [Theory]
    [InlineData("os", "system")]
    [InlineData("posix", "system")]
    [InlineData("nt", "system")]
    [InlineData("sys", "modules")]
    [InlineData("os.path", "join")]
    [InlineData("subprocess", "Popen")]
    [InlineData("builtins", "eval")]
    [InlineData("__builtin__", "eval")]
    [InlineData("builtins", "exec")]
    [InlineData("builtins", "getattr")]
    [InlineData("builtins", "__import__")]
    [InlineData("builtins", "compile")]
    [InlineData("builtins", "open")]
    [InlineData("torch.serialization", "os.system")]
    [InlineData("my.models", "Net.sys.modules")]
    [InlineData("importlib", "import_module")]
    [InlineData("runpy", "run_path")]
    public async Task P1_GlobalThatRunsCode_IsRefusedWithAndWithoutTheOption(string module, string name)
    {
        foreach (var options in (CheckpointOptions?[])[null, TorchOpening.Admitting])
        {
            foreach (var file in Files(Call(module, name, Text("touch PWNED"))))
            {
                var exception = await TorchOpening.RefusedAsync<UnsafePickleException>(file, CheckpointErrorCode.UnsafePickle, options);
                Assert.Equal((module, name), (exception.Module, exception.Name));
                Assert.DoesNotContain("--allow-unknown-globals", exception.Message, StringComparison.Ordinal);
                Assert.Contains("nothing of the file was executed", exception.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("torch.hub", "load")]
    [InlineData("my.models", "Net")]
    [InlineData("builtins", "list")]
    [InlineData("torch", "load")]
    [InlineData("torch.storage", "_load_from_bytes")]
    [InlineData("osprey", "system")]
    [InlineData("numpy", "load")]
    [InlineData("__torch__.my", "Net")]
    [InlineData("__builtin__evil", "set")]
    public async Task P1_UnknownGlobal_IsRefusedWithTheOptionNamed(string module, string name)
    {
        foreach (var file in Files(Call(module, name, Text("x"))))
        {
            var exception = await TorchOpening.RefusedAsync<UnsafePickleException>(file, CheckpointErrorCode.UnsafePickle);
            Assert.Equal((module, name), (exception.Module, exception.Name));
            Assert.Contains("--allow-unknown-globals (TorchLimits.AllowUnknownGlobals)", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(PickleGlobalVerdict.Allow(PickleGlobalKind.Unknown), new TorchGlobals(admitsUnknown: true, isTorchScript: false).Verdict(module, name));
    }

    [Fact]
    public async Task P1_ArrayOfObjects_IsRefusedWithAndWithoutTheOption()
    {
        var type = Call("numpy", "dtype", Text("O8"), Truth(false), Truth(true));
        var value = (byte[])
        [
            .. Call("numpy.core.multiarray", "_reconstruct", Global("numpy", "ndarray"), Numbers(0), Bytes((byte)'b')),
            .. Tuple(Whole(1), Numbers(1), type, Truth(false), List(Text("anything"))), (byte)'b',
        ];
        foreach (var options in (CheckpointOptions?[])[null, TorchOpening.Admitting])
        {
            var file = Files(Dictionary(("a", value)))[0];
            var exception = await TorchOpening.RefusedAsync<UnsafePickleException>(file, CheckpointErrorCode.UnsafePickle, options);
            Assert.Equal(("numpy.core.multiarray", "_reconstruct"), (exception.Module, exception.Name));
            Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);
            // The opcode that is named is the REDUCE of the array, behind the text 'b' and the tuple of its arguments.
            Assert.Equal(file.AsSpan().IndexOf("tR("u8) + 1 - file.AsSpan().IndexOf([(byte)0x80, (byte)2, (byte)'}']), exception.OpcodeOffset);
        }
    }

    [Theory]
    [InlineData("collections", "OrderedDict", nameof(PickleGlobalKind.Dictionary))]
    [InlineData("collections", "Counter", nameof(PickleGlobalKind.Dictionary))]
    [InlineData("torch.nn.parameter", "Parameter", nameof(PickleGlobalKind.Class))]
    [InlineData("torch.serialization", "_get_layout", nameof(PickleGlobalKind.Function))]
    [InlineData("torch", "Size", nameof(PickleGlobalKind.Class))]
    [InlineData("torch", "Tensor", nameof(PickleGlobalKind.Class))]
    [InlineData("torch", "device", nameof(PickleGlobalKind.Class))]
    [InlineData("_codecs", "encode", nameof(PickleGlobalKind.Function))]
    [InlineData("builtins", "bytearray", nameof(PickleGlobalKind.Class))]
    [InlineData("__builtin__", "set", nameof(PickleGlobalKind.Class))]
    [InlineData("builtins", "complex", nameof(PickleGlobalKind.Class))]
    [InlineData("torch", "float8_e4m3fn", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch", "FloatStorage", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch.cuda", "HalfStorage", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch.storage", "UntypedStorage", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch", "per_channel_affine_float_qparams", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch", "channels_last", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch", "sparse_bsc", nameof(PickleGlobalKind.Constant))]
    [InlineData("torch._tensor", "_rebuild_from_type_v2", nameof(PickleGlobalKind.Function))]
    [InlineData("numpy._core.multiarray", "_reconstruct", nameof(PickleGlobalKind.Class))]
    [InlineData("numpy.core.multiarray", "scalar", nameof(PickleGlobalKind.Function))]
    [InlineData("numpy", "dtype", nameof(PickleGlobalKind.Class))]
    public void Verdict_OfTheList_AdmitsItAsWhatItIs(string module, string name, string kind) => Assert.Equal(
        PickleGlobalVerdict.Allow(Enum.Parse<PickleGlobalKind>(kind)), new TorchGlobals(admitsUnknown: false, isTorchScript: false).Verdict(module, name));

    [Fact]
    public void Verdict_OfTorchScript_AdmitsItsOwnClassesAndNoOthers()
    {
        var globals = new TorchGlobals(admitsUnknown: false, isTorchScript: true);
        Assert.True(globals.Verdict("__torch__", "Net").IsAllowed);
        Assert.True(globals.Verdict("__torch__.torch.nn.modules.linear", "Linear").IsAllowed);
        Assert.False(globals.Verdict("__torch__x", "Net").IsAllowed);
        Assert.False(globals.Verdict("my.models", "Net").IsAllowed);
        Assert.False(globals.Verdict("posix", "system").IsAllowed);
    }

    private static byte[][] Files(byte[] value) => [new TorchBuilder().ToArchive(value), new TorchBuilder().ToStream(value), Complete(value)];
}
