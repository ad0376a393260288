using IlgpuLoader.Formats.Pickle;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>With a recorder one reading lists everything, and what is refused elsewhere becomes inert values.</summary>
public sealed class PickleRecorderTests
{
    [Fact]
    public void Read_HostilePickle_ListsEveryGlobalWithItsOffsetAndVerdict()
    {
        var recorder = new PickleRecorder();
        var pickle = PickleReading.Bytes("(cm\nclass\ncos\nsystem\n\u008c\u0002id\u0085R\u008c\u0005posix\u008c\u0006system\u0093cos\nsystem\nt.");
        var value = PickleReading.Read(pickle, PickleReading.Settings(recorder: recorder));
        Assert.Equal("(<m.class>, <os.system>(\"id\"), <posix.system>, <os.system>)", PickleGraph.Show(value));
        Assert.Equal(
            [("m", "class", 1L, true), ("os", "system", 10, false), ("posix", "system", 42, false), ("os", "system", 43, false)],
            recorder.Globals.Select(global => (global.Module, global.Name, global.Offset, global.Verdict.IsAllowed)));
        Assert.Equal("It is not on the list of the test.", recorder.Globals[1].Verdict.Refusal);
        Assert.Equal(3, recorder.Count(PickleOpcode.Global));
        Assert.Equal(1, recorder.Count(PickleOpcode.StackGlobal));
        Assert.Equal(3, recorder.Count(PickleOpcode.ShortBinUnicode));
        Assert.Equal(1, recorder.Count(PickleOpcode.Stop));
        Assert.Equal(0, recorder.Count(PickleOpcode.Append));
        Assert.Empty(recorder.RefusedOpcodes);
    }

    [Theory]
    [InlineData("(K\u0001ios\nsystem\n.", "<os.system>(1)", "INST", 3)]
    [InlineData("(cos\nsystem\nK\u0001o.", "<os.system>(1)", "OBJ", 14)]
    [InlineData("P7\n.", "storage(\"7\")", "PERSID", 0)]
    [InlineData("\u0082\u0007.", "<copyreg.extension 7>", "EXT1", 0)]
    [InlineData("\u0083\u0007\u0001.", "<copyreg.extension 263>", "EXT2", 0)]
    [InlineData("\u0084\u0007\0\0\u0080)R.", "<copyreg.extension 2147483655>()", "EXT4", 0)]
    [InlineData("\u0097.", "None", "NEXT_BUFFER", 0)]
    [InlineData("C\u0001a\u0098.", "b61", "READONLY_BUFFER", 3)]
    public void Read_RefusedOpcode_IsListedAndGivesAnInertValue(string pickle, string expected, string opcode, int offset)
    {
        var recorder = new PickleRecorder();
        Assert.Equal(expected, PickleReading.Shown(pickle, PickleReading.Settings(recorder: recorder)));
        var refused = Assert.Single(recorder.RefusedOpcodes);
        Assert.Equal((opcode, (long)offset), (PickleOpcodes.Name(refused.Opcode), refused.Offset));
        Assert.Equal(1, recorder.Count(refused.Opcode));
    }

    [Fact]
    public void Read_WhatARefusedGlobalGives_TakesEverything()
    {
        var recorder = new PickleRecorder();
        const string pickle = "cbuiltins\ngetattr\ncos\nsystem\n\u0085RN\u0085R)\u0081}bNaNNs.";
        Assert.Equal("<builtins.getattr>()[None]{None: None}/{}", PickleReading.Shown(pickle, PickleReading.Settings(recorder: recorder)));
        Assert.Equal(["getattr", "system"], recorder.Globals.Select(global => global.Name));
    }

    [Theory]
    [InlineData("cos\nsystem\n\u00ff.")]
    [InlineData("cos\nsystem\ns.")]
    [InlineData("cos\nsystem\n(o.")]
    [InlineData("cos\nsystem\nX\u0004\0\0\0")]
    [InlineData("cos\nsystem\n")]
    public void Read_BrokenBehindWhatItWouldImport_StillListsThat(string pickle)
    {
        var recorder = new PickleRecorder();
        _ = PickleReading.Refused<InvalidCheckpointException>(PickleReading.Bytes(pickle), PickleReading.Settings(recorder: recorder));
        Assert.Equal("os system", Assert.Single(recorder.Globals.Select(global => $"{global.Module} {global.Name}")));
    }

    [Theory]
    [InlineData("cos\nsystem\n0")]
    [InlineData("\u0082\u00010")]
    public void Read_MoreThanCanBeListed_StaysWithinTheBound(string repeated)
    {
        var pickle = PickleReading.Bytes(string.Concat(Enumerable.Repeat(repeated, 500_000)) + ".");
        var exception = PickleReading.Refused<CheckpointLimitException>(pickle, PickleReading.Settings(recorder: new PickleRecorder()));
        Assert.Equal("TorchLimits.MaximumPickleExpansionBytes", exception.Option);
    }
}
