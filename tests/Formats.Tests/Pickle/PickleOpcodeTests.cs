using IlgpuLoader.Formats.Pickle;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Every opcode by bytes made by hand, and what Python writes.</summary>
public sealed class PickleOpcodeTests
{
    // Names of module m, as GLOBAL writes them.
    private const string Function = "cm\nfunction\n";
    private const string Class = "cm\nclass\n";
    private const string Dictionary = "cm\ndictionary\n";
    private const string Constant = "cm\nconstant\n";
    private const string Unknown = "cm\nunknown\n";

    [Theory]
    [InlineData("N.", "None")]
    [InlineData("\u0088.", "True")]
    [InlineData("\u0089.", "False")]
    [InlineData("I00\n.", "False")]
    [InlineData("I01\n.", "True")]
    [InlineData("I0\n.", "0")]
    [InlineData("I-17\n.", "-17")]
    [InlineData("I9223372036854775808\n.", "9223372036854775808")]
    [InlineData("L12L\n.", "12")]
    [InlineData("L-9223372036854775808L\n.", "-9223372036854775808")]
    [InlineData("L-9223372036854775809L\n.", "-9223372036854775809")]
    [InlineData("L00000000000000000000000000000000007L\n.", "7")]
    [InlineData("L12\n.", "12")]
    [InlineData("J\u0001\u0002\u0003\u0084.", "-2080177663")]
    [InlineData("K\u00ff.", "255")]
    [InlineData("M\u0001\u00ff.", "65281")]
    [InlineData("\u008a\0.", "0")]
    [InlineData("\u008a\u0001\u00ff.", "-1")]
    [InlineData("\u008a\u0002\u00ff\0.", "255")]
    [InlineData("\u008a\u0008\0\0\0\0\0\0\0\u0080.", "-9223372036854775808")]
    [InlineData("\u008a\u0009\u0005\0\0\0\0\0\0\0\0.", "5")]
    [InlineData("\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.", "119547037146038801333356")]
    [InlineData("\u008b\u0003\0\0\0\u0001\0\u0080.", "-8388607")]
    [InlineData("G?\u00f8\0\0\0\0\0\0.", "f3ff8000000000000")]
    [InlineData("F-2.5\n.", "fc004000000000000")]
    [InlineData("F1e400\n.", "f7ff0000000000000")]
    [InlineData("F-inf\n.", "ffff0000000000000")]
    [InlineData("F1\n.", "f3ff0000000000000")]
    public void Read_Number_GivesItsValue(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Fact]
    public void Read_NotANumber_GivesOne()
    {
        Assert.True(double.IsNaN(Assert.IsType<double>(PickleReading.Read("Fnan\n."u8.ToArray()))));
    }

    [Theory]
    [InlineData("X\u0003\0\0\0a\u00c3\u00a9.", "\"a\\u00e9\"")]
    [InlineData("X\0\0\0\0.", "\"\"")]
    [InlineData("\u008c\u0001a.", "\"a\"")]
    [InlineData("\u008d\u0001\0\0\0\0\0\0\0a.", "\"a\"")]
    [InlineData("\u008c\u0004\u00f0\u009f\u0098\u0080.", "\"\\ud83d\\ude00\"")]
    // Halves of surrogate pairs, alone, in the middle and as two that Python does not join.
    [InlineData("\u008c\u0003\u00ed\u00a0\u0080.", "\"\\ud800\"")]
    [InlineData("\u008c\u0009a\u00c3\u00a9\u00ed\u00bf\u00bf\u00e2\u0082\u00ac.", "\"a\\u00e9\\udfff\\u20ac\"")]
    [InlineData("\u008c\u0006\u00ed\u00a0\u00bd\u00ed\u00b8\u0080.", "\"\\ud83d\\ude00\"")]
    [InlineData("\u008c\u0007\u00ed\u00a0\u0080\u00f0\u009f\u0098\u0080.", "\"\\ud800\\ud83d\\ude00\"")]
    [InlineData("Va\\u20ac\\U0001f600\u00e9\n.", "\"a\\u20ac\\ud83d\\ude00\\u00e9\"")]
    [InlineData("V\\\\u0041\\x\\\n.", "\"\\u005c\\u005cu0041\\u005cx\\u005c\"")]
    [InlineData("V\\ud800\n.", "\"\\ud800\"")]
    [InlineData("V\n.", "\"\"")]
    public void Read_Text_GivesItsCharacters(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [InlineData("U\u0002ab.", "\"ab\"")]
    [InlineData("U\u0002\u00c3\u00a9.", "\"\\u00e9\"")]
    [InlineData("U\u0002\u00ff\0.", "bff00")]
    [InlineData("T\u0002\0\0\0ab.", "\"ab\"")]
    [InlineData("T\u0001\0\0\0\u0080.", "b80")]
    [InlineData("S'ab'\n.", "\"ab\"")]
    [InlineData("S\"it's\"\n.", "\"it's\"")]
    [InlineData("S''\n.", "\"\"")]
    [InlineData("S'\\x41\\n\\\\\\'\\101\\7\\q'\n.", "\"A\\u000a\\u005c'A\\u0007\\u005cq\"")]
    [InlineData("S'\\xff\\0'\n.", "bff00")]
    [InlineData("S'\\t\\r\\a\\b\\f\\v\\\"\\18'\n.", "\"\\u0009\\u000d\\u0007\\u0008\\u000c\\u000b\\u0022\\u00018\"")]
    public void Read_StringOfPython2_GivesTextWhereItIsUtf8AndBytesElsewhere(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [InlineData("C\u0002\u00ffa.", "bff61")]
    [InlineData("B\u0001\0\0\0\u00ff.", "bff")]
    [InlineData("\u008e\u0001\0\0\0\0\0\0\0\u00ff.", "bff")]
    [InlineData("\u0096\u0002\0\0\0\0\0\0\0\u00ff\0.", "bff00")]
    public void Read_Bytes_GivesThem(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [InlineData(").", "()")]
    [InlineData("K\u0001\u0085.", "(1)")]
    [InlineData("K\u0001K\u0002\u0086.", "(1, 2)")]
    [InlineData("K\u0001K\u0002K\u0003\u0087.", "(1, 2, 3)")]
    [InlineData("(K\u0001NK\u0003\u0088t.", "(1, None, 3, True)")]
    [InlineData("(t.", "()")]
    [InlineData("].", "[]")]
    [InlineData("(NNl.", "[None, None]")]
    [InlineData("]K\u0001aK\u0002a.", "[1, 2]")]
    [InlineData("](K\u0001K\u0002e(K\u0003e(e.", "[1, 2, 3]")]
    [InlineData("}.", "{}")]
    [InlineData("(K\u0001NK\u0002)d.", "{1: None, 2: ()}")]
    [InlineData("}]Ns.", "{[]: None}")]
    [InlineData("}(K\u0001NK\u0001)u.", "{1: None, 1: ()}")]
    [InlineData("\u008f.", "set[]")]
    [InlineData("\u008f(K\u0001K\u0002\u0090(K\u0002\u0090.", "set[1, 2, 2]")]
    [InlineData("(K\u0001\u0091.", "set[1]")]
    public void Read_Container_GivesWhatIsInIt(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [InlineData("K\u00010N.", "None")]
    [InlineData("N(0.", "None")]
    [InlineData("N(K\u0001(00K\u00020(10.", "None")]
    [InlineData("N(K\u0001K\u00021.", "None")]
    [InlineData("](N2e.", "[None, None]")]
    [InlineData("K\u0007q\u0005N0h\u0005.", "7")]
    [InlineData("K\u0007p5\n0g5\n.", "7")]
    [InlineData("K\u0007r\u0005\0\0\00j\u0005\0\0\0.", "7")]
    [InlineData("K\u0007r\u0005\0\0\u00800j\u0005\0\0\u0080.", "7")]
    [InlineData("K\u0007\u0094K\u0008\u009400h\u0001h\0\u0086.", "(8, 7)")]
    [InlineData("K\u0007q\0K\u0008q\000h\0.", "8")]
    [InlineData("K\u0007p4294967295\nK\u0008p4294967295\n00g4294967295\n.", "8")]
    [InlineData("NNN.", "None")]
    [InlineData("\u0080\0N\u0080\u0005.", "None")]
    [InlineData("\u0095\u0002\0\0\0\0\0\0\0N0\u0095\u0002\0\0\0\0\0\0\0N.", "None")]
    [InlineData("\u0095\u0001\0\0\0\0\0\0\0NK\u00010.", "None")]
    [InlineData("\u0095\0\0\0\0\0\0\0\0N.", "None")]
    public void Read_StackMemoAndFrames_GivesTheTop(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [InlineData(Constant + ".", "<m.constant>")]
    [InlineData("\u008c\u0001m\u008c\u0005class\u0093.", "<m.class>")]
    [InlineData(Function + "K\u0001\u0085R.", "<m.function>(1)")]
    [InlineData(Class + ")R.", "<m.class>()")]
    [InlineData(Class + "N\u0085\u0081}K\u0001Nsb.", "<m.class>(None)/{1: None}")]
    [InlineData(Class + ")RK\u0001bK\u0002b.", "<m.class>()/2")]
    [InlineData(Class + ")}K\u0001Ns\u0092.", "<m.class>()*{1: None}")]
    [InlineData(Dictionary + ")RK\u0001Ns(K\u0002NK\u0003Nu}b.", "<m.dictionary>(){1: None, 2: None, 3: None}/{}")]
    [InlineData(Unknown + ")\u0081K\u0001a(K\u0002e(K\u0003\u0090K\u0004Ns(K\u0005Nu)b.", "<m.unknown>()[1, 2, 3]{4: None, 5: None}/()")]
    [InlineData(Unknown + ")RN\u0085R.", "<m.unknown>(None)")]
    [InlineData(Unknown + ")R)\u0081.", "<m.unknown>()")]
    [InlineData("(U\u0007storage" + Constant + "U\u00010U\u0003cpuK\u000ctQ.", "storage(\"storage\", <m.constant>, \"0\", \"cpu\", 12)")]
    public void Read_GlobalsAndObjects_GivesRecordsOfThem(string pickle, string expected) =>
        Assert.Equal(expected, PickleReading.Shown(pickle));

    [Theory]
    [MemberData(nameof(PicklesOfPython.All), MemberType = typeof(PicklesOfPython))]
    public void Read_WhatPythonWrites_GivesWhatPythonReads(string expression, int protocol, string pickle, string expected)
    {
        var settings = PickleReading.Settings() with { Globals = (_, _) => PickleGlobalVerdict.Allow(PickleGlobalKind.Dictionary) };
        var value = PickleReading.Read(Convert.FromBase64String(pickle), settings);
        Assert.Equal((expression, protocol, expected), (expression, protocol, PickleGraph.Show(value)));
    }

    [Fact]
    public void Read_SharedValues_AreOneInstance()
    {
        var tuple = Assert.IsType<PickleTuple>(PickleReading.Read(PickleReading.Bytes("]q\0h\0\u0086.")));
        Assert.Same(tuple.Items[0], tuple.Items[1]);
    }

    [Fact]
    public void Read_GlobalNamedTwice_IsOneInstance()
    {
        var tuple = Assert.IsType<PickleTuple>(PickleReading.Read(PickleReading.Bytes(Class + "\u008c\u0001m\u008c\u0005class\u0093\u0086.")));
        Assert.Same(tuple.Items[0], tuple.Items[1]);
    }

    [Fact]
    public void Read_ListThatHoldsItself_GivesIt()
    {
        var list = Assert.IsType<PickleList>(PickleReading.Read(PickleReading.Bytes("]q\0h\0ah\0a.")));
        Assert.Equal(2, list.Items.Count);
        Assert.All(list.Items, item => Assert.Same(list, item));
    }

    [Fact]
    public void Read_SeveralPickles_OneBehindAnotherWithMemosOfTheirOwn()
    {
        var reader = new PickleReader(PickleReading.Bytes("K\u0001q\0.K\u0002.h\0.rest"), PickleReading.Settings());
        Assert.Equal(1L, reader.Read());
        Assert.Equal(5, reader.Position);
        Assert.Equal(2L, reader.Read());
        Assert.Equal(8, reader.Position);
        var exception = Assert.Throws<InvalidCheckpointException>(() => reader.Read());
        Assert.Equal(PickleReading.BaseOffset + 8, exception.Offset);
    }

    [Fact]
    public void Read_ManyMemoEntriesFromOne_FindsEach()
    {
        // Python 2's cPickle counts from one; pickletools.optimize leaves gaps.
        var pickle = new List<byte>();
        pickle.Add((byte)'(');
        for (var index = 1; index < 3000; index++)
        {
            pickle.AddRange([(byte)'M', (byte)index, (byte)(index >> 8), (byte)'r', (byte)(3 * index), (byte)((3 * index) >> 8), 0, 0]);
        }

        for (var index = 1; index < 3000; index++)
        {
            pickle.AddRange([(byte)'j', (byte)(3 * index), (byte)((3 * index) >> 8), 0, 0]);
        }

        pickle.AddRange("t."u8);
        var tuple = Assert.IsType<PickleTuple>(PickleReading.Read([.. pickle]));
        var numbers = Enumerable.Range(1, 2999).Select(number => (object)(long)number);
        Assert.Equal(numbers.Concat(numbers), tuple.Items);
    }
}
