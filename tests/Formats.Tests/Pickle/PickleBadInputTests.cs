using IlgpuLoader.Formats.Pickle;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Pickles that are refused: what is not admitted (P1, P2), and what breaks a rule (P3, P5).</summary>
public sealed class PickleBadInputTests
{
    [Theory]
    [InlineData("\u0080\u0002cposix\nsystem\n(U\u0009echo evilt\u0085R.", "posix", "system", 2)]
    [InlineData("\u0080\u0004\u008c\u0002os\u008c\u0006system\u0093\u008c\u0002id\u0085R.", "os", "system", 14)]
    [InlineData("N0c__builtin__\neval\n.", "__builtin__", "eval", 2)]
    // What no verdict was given for is not admitted because something else of its module is.
    [InlineData("cm\nclass.attribute\n.", "m", "class.attribute", 0)]
    [InlineData("cm.class\n\n.", "m.class", "", 0)]
    [InlineData("cm\nclass\r\n.", "m", "class\r", 0)]
    [InlineData("\u008c\u0001m\u008c\u0008function\u0093\u008c\u0001m\u008c\u0003x.y\u0093.", "m", "x.y", 22)]
    public void P1P2_GlobalThatIsNotAdmitted_NamesItAndWhatToDo(string pickle, string module, string name, int offset)
    {
        var exception = PickleReading.Refused<UnsafePickleException>(PickleReading.Bytes(pickle));
        Assert.Equal(CheckpointErrorCode.UnsafePickle, exception.Code);
        Assert.Equal((module, name, (long)offset), (exception.Module, exception.Name, exception.OpcodeOffset));
        Assert.Contains(Quoted.Name($"{module}.{name}"), exception.Message, StringComparison.Ordinal);
        Assert.Contains("nothing of the file was executed", exception.Message, StringComparison.Ordinal);
        Assert.Contains("It is not on the list of the test.", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', exception.Message);
    }

    [Fact]
    public void P1_GlobalOfTheSecondPickle_HasItsOffsetInThatPickle()
    {
        var reader = new PickleReader(PickleReading.Bytes("N.Ncos\nsystem\n."), PickleReading.Settings());
        _ = reader.Read();
        Assert.Equal(1, Assert.Throws<UnsafePickleException>(() => reader.Read()).OpcodeOffset);
    }

    [Fact]
    public void P1_GlobalThatIsAdmitted_IsAskedForOnceAPickle()
    {
        var asked = new List<string>();
        var settings = PickleReading.Settings() with
        {
            Globals = (module, name) =>
            {
                asked.Add($"{module} {name}");
                return PickleGlobalVerdict.Allow(PickleGlobalKind.Class);
            },
        };
        _ = PickleReading.Read(PickleReading.Bytes("ca\nb\nca\nb\n\u008c\u0001a\u008c\u0001b\u0093ca\nc\n."), settings);
        Assert.Equal(["a b", "a c"], asked);
    }

    [Theory]
    [InlineData("(ios\nsystem\n.", "INST", 1)]
    [InlineData("(cm\nclass\no.", "OBJ", 10)]
    [InlineData("\u0082\u0001.", "EXT1", 0)]
    [InlineData("\u0083\u0001\0.", "EXT2", 0)]
    [InlineData("\u0084\u0001\0\0\0.", "EXT4", 0)]
    [InlineData("P0\n.", "PERSID", 0)]
    [InlineData("\u0097.", "NEXT_BUFFER", 0)]
    [InlineData("N\u0098.", "READONLY_BUFFER", 1)]
    public void P2_OpcodeThatNoCheckpointNeeds_IsNamed(string pickle, string opcode, int offset)
    {
        var exception = PickleReading.Refused<UnsafePickleException>(PickleReading.Bytes(pickle));
        Assert.Equal(CheckpointErrorCode.UnsafePickle, exception.Code);
        Assert.Equal((null, opcode, (long)offset), (exception.Module, exception.Name, exception.OpcodeOffset));
        Assert.Contains(opcode, exception.Message, StringComparison.Ordinal);
        Assert.Contains("nothing of the file was executed", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void P2_EveryByteThatIsNoOpcode_IsNamedAndNothingElse()
    {
        var known = Enum.GetValues<PickleOpcode>();
        Assert.Equal(68, known.Length);
        foreach (var value in Enumerable.Range(0, 256).Select(value => (byte)value).Where(value => !known.Contains((PickleOpcode)value)))
        {
            var exception = PickleReading.Refused<InvalidCheckpointException>([(byte)'N', value, (byte)'.']);
            Assert.Equal(CheckpointErrorCode.PickleInvalid, exception.Code);
            Assert.Equal(PickleReading.BaseOffset + 1, exception.Offset);
            Assert.Contains($"0x{value:x2}", exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(".", "STOP", 0)]
    [InlineData("0.", "POP", 0)]
    [InlineData("2.", "DUP", 0)]
    [InlineData("\u0085.", "TUPLE1", 0)]
    [InlineData("N\u0086.", "TUPLE2", 1)]
    [InlineData("NN\u0087.", "TUPLE3", 2)]
    [InlineData("Na.", "APPEND", 1)]
    [InlineData("NNs.", "SETITEM", 2)]
    [InlineData("(NNu.", "SETITEMS", 3)]
    [InlineData("(NNe.", "APPENDS", 3)]
    [InlineData("(NN\u0090.", "ADDITEMS", 3)]
    [InlineData(")R.", "REDUCE", 1)]
    [InlineData(")\u0081.", "NEWOBJ", 1)]
    [InlineData("Nb.", "BUILD", 1)]
    [InlineData("Q.", "BINPERSID", 0)]
    [InlineData("q\0.", "BINPUT", 0)]
    [InlineData("\u0094.", "MEMOIZE", 0)]
    [InlineData("\u008c\u0001m\u0093.", "STACK_GLOBAL", 3)]
    // A mark is a wall: what is below is not there for what takes values.
    [InlineData("](Na.", "APPEND", 3)]
    [InlineData("](a.", "APPEND", 2)]
    [InlineData("N(\u0085.", "TUPLE1", 2)]
    [InlineData("N(2.", "DUP", 2)]
    [InlineData("N(q\0.", "BINPUT", 2)]
    [InlineData("N(.", "STOP", 2)]
    public void P3_StackUnderflow_SaysWhatIsThere(string pickle, string opcode, int offset)
    {
        var exception = PickleReading.Invalid(pickle, opcode, offset);
        Assert.Contains("on the stack", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("t.", "TUPLE")]
    [InlineData("l.", "LIST")]
    [InlineData("d.", "DICT")]
    [InlineData("e.", "APPENDS")]
    [InlineData("u.", "SETITEMS")]
    [InlineData("\u0091.", "FROZENSET")]
    [InlineData("\u0090.", "ADDITEMS")]
    [InlineData("1.", "POP_MARK")]
    public void P3_NoMark_SaysSo(string pickle, string opcode)
    {
        var exception = PickleReading.Invalid("N" + pickle, opcode, 1);
        Assert.Contains("MARK", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("h\u0005.", "BINGET", "entry 5")]
    [InlineData("j\u0005\0\0\u0080.", "LONG_BINGET", "entry 2147483653")]
    [InlineData("g300\n.", "GET", "entry 300")]
    [InlineData("g-1\n.", "GET", "'-1'")]
    [InlineData("g4294967296\n.", "GET", "'4294967296'")]
    [InlineData("g\n.", "GET", "''")]
    [InlineData("Np1x\n.", "PUT", "'1x'")]
    public void P3_MemoMiss_NamesTheEntry(string pickle, string opcode, string expected)
    {
        var exception = PickleReading.Invalid(pickle, opcode, pickle[0] == 'N' ? 1 : 0);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("N")]
    [InlineData("\u0080\u0002]q\0")]
    [InlineData("\u0095\u0001\0\0\0\0\0\0\0N")]
    public void P3_NoStop_SaysThatTheFileIsCut(string pickle)
    {
        var reader = new PickleReader(PickleReading.Bytes(pickle), PickleReading.Settings());
        var exception = Assert.Throws<InvalidCheckpointException>(() => reader.Read());
        Assert.Equal(CheckpointErrorCode.PickleInvalid, exception.Code);
        Assert.Equal(PickleReading.BaseOffset + pickle.Length, exception.Offset);
        Assert.Contains("STOP", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("K", "BININT1")]
    [InlineData("M\u0001", "BININT2")]
    [InlineData("J\u0001\0\0", "BININT")]
    [InlineData("G\0\0\0\0\0\0\0", "BINFLOAT")]
    [InlineData("X\u0004\0\0\0abc", "BINUNICODE")]
    [InlineData("X\u00ff\u00ff\u00ff\u00ffabc", "BINUNICODE")]
    [InlineData("X\u0004\0\0", "BINUNICODE")]
    [InlineData("\u008c\u0004abc", "SHORT_BINUNICODE")]
    [InlineData("\u008d\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ffa", "BINUNICODE8")]
    [InlineData("\u008e\u0002\0\0\0\0\0\0\0a", "BINBYTES8")]
    [InlineData("\u0096\u0002\0\0\0\0\0\0\u0080a", "BYTEARRAY8")]
    [InlineData("B\u0002\0\0\0a", "BINBYTES")]
    [InlineData("C\u0002a", "SHORT_BINBYTES")]
    [InlineData("U\u0002a", "SHORT_BINSTRING")]
    [InlineData("T\u0002\0\0\0a", "BINSTRING")]
    [InlineData("\u008a\u0002a", "LONG1")]
    [InlineData("\u008b\u0002\0\0\0a", "LONG4")]
    [InlineData("I1", "INT")]
    [InlineData("S'a'", "STRING")]
    [InlineData("cm\nclass", "GLOBAL")]
    [InlineData("cm", "GLOBAL")]
    [InlineData("j\0\0\0", "LONG_BINGET")]
    [InlineData("h", "BINGET")]
    [InlineData("\u0080", "PROTO")]
    [InlineData("\u0095\u0001\0\0\0\0\0\0", "FRAME")]
    [InlineData("\u0095\u0003\0\0\0\0\0\0\0N.", "FRAME")]
    [InlineData("\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ffN.", "FRAME")]
    public void P3_CutInAnArgument_SaysThatTheFileIsCut(string pickle, string opcode)
    {
        var exception = PickleReading.Invalid(pickle, opcode, 0);
        Assert.Contains("cut short", exception.Message, StringComparison.Ordinal);
        var reader = new PickleReader(PickleReading.Bytes(pickle), PickleReading.Settings());
        _ = Assert.Throws<InvalidCheckpointException>(() => reader.Read());
    }

    [Theory]
    [InlineData("Ix\n.", "INT", 0, "'x'")]
    [InlineData("I\n.", "INT", 0, "''")]
    [InlineData("I1L\n.", "INT", 0, "'1L'")]
    [InlineData("I0x10\n.", "INT", 0, "'0x10'")]
    [InlineData("L12LL\n.", "LONG", 0, "'12L'")]
    [InlineData("LL\n.", "LONG", 0, "''")]
    [InlineData("L99999999999999999999-L\n.", "LONG", 0, "-'")]
    [InlineData("F1.5 \n.", "FLOAT", 0, "'1.5 '")]
    [InlineData("FInfinity\n.", "FLOAT", 0, "'Infinity'")]
    [InlineData("F\u001b\n.", "FLOAT", 0, "'\\u001b'")]
    [InlineData("F\n.", "FLOAT", 0, "''")]
    [InlineData("F--inf\n.", "FLOAT", 0, "'--inf'")]
    [InlineData("\u008b\u00ff\u00ff\u00ff\u00ff.", "LONG4", 0, "-1")]
    [InlineData("T\u00ff\u00ff\u00ff\u00ff.", "BINSTRING", 0, "-1")]
    [InlineData("\u008c\u0001\u00ff.", "SHORT_BINUNICODE", 0, "UTF-8")]
    [InlineData("\u008c\u0002\u00ed\u00a0.", "SHORT_BINUNICODE", 0, "UTF-8")]
    [InlineData("\u008c\u0002\u00c0\u0080.", "SHORT_BINUNICODE", 0, "UTF-8")]
    [InlineData("c\u00ff\nx\n.", "GLOBAL", 0, "UTF-8")]
    [InlineData("V\\u12\n.", "UNICODE", 0, "escape")]
    [InlineData("V\\u12g4\n.", "UNICODE", 0, "escape")]
    [InlineData("V\\U00110000\n.", "UNICODE", 0, "escape")]
    [InlineData("Sab\n.", "STRING", 0, "quotes")]
    [InlineData("S'ab\"\n.", "STRING", 0, "quotes")]
    [InlineData("S'\n.", "STRING", 0, "quotes")]
    [InlineData("S'\\'\n.", "STRING", 0, "escapes")]
    [InlineData("S'\\x1'\n.", "STRING", 0, "escapes")]
    [InlineData("S'\\xg1'\n.", "STRING", 0, "escapes")]
    [InlineData("\u0080\u0006N.", "PROTO", 0, "protocol 6")]
    [InlineData("\u0095\u000b\0\0\0\0\0\0\0\u0095\u0002\0\0\0\0\0\0\0N.", "FRAME", 9, "another frame")]
    [InlineData("\u0095\u0001\0\0\0\0\0\0\0K\u0001.", "BININT1", 9, "crosses")]
    [InlineData("\u0095\u0003\0\0\0\0\0\0\0N.N", "STOP", 10, "end its frame")]
    [InlineData("(Nd.", "DICT", 2, "without one")]
    [InlineData("}(NNNu.", "SETITEMS", 5, "without one")]
    [InlineData("K\u0001\u008c\u0001x\u0093.", "STACK_GLOBAL", 5, "an integer")]
    [InlineData("\u008c\u0001x\u0088\u0093.", "STACK_GLOBAL", 4, "a bool")]
    public void P3_ArgumentThatNoPicklerWrites_SaysWhatIsWrong(string pickle, string opcode, int offset, string expected)
    {
        var exception = PickleReading.Invalid(pickle, opcode, offset);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    // SETITEM and SETITEMS
    [InlineData("]NNs.", "SETITEM", 3, "a list")]
    [InlineData(")NNs.", "SETITEM", 3, "a tuple")]
    [InlineData("](NNu.", "SETITEMS", 4, "a list")]
    [InlineData("cm\nfunction\n)RNNs.", "SETITEM", 16, "what 'm.function' gives")]
    [InlineData("cm\nclass\n)RNNs.", "SETITEM", 13, "what 'm.class' gives")]
    [InlineData("cm\ndictionary\nNNs.", "SETITEM", 16, "the class 'm.dictionary'")]
    [InlineData(")QNNs.", "SETITEM", 4, "a storage")]
    // APPEND, APPENDS and ADDITEMS
    [InlineData("}Na.", "APPEND", 2, "a dict")]
    [InlineData("}(Ne.", "APPENDS", 3, "a dict")]
    [InlineData(")Na.", "APPEND", 2, "a tuple")]
    [InlineData("\u008fNa.", "APPEND", 2, "a set")]
    [InlineData("cm\ndictionary\n)RNa.", "APPEND", 17, "what 'm.dictionary' gives")]
    [InlineData("U\u0001aNa.", "APPEND", 4, "text")]
    [InlineData("C\u0001aNa.", "APPEND", 4, "bytes")]
    [InlineData("](N\u0090.", "ADDITEMS", 3, "a list")]
    // BUILD
    [InlineData("K\u0005}b.", "BUILD", 3, "an integer")]
    [InlineData("G\0\0\0\0\0\0\0\0}b.", "BUILD", 10, "a float")]
    [InlineData("N}b.", "BUILD", 2, "None")]
    [InlineData("}}b.", "BUILD", 2, "a dict")]
    [InlineData("cm\nclass\n}b.", "BUILD", 10, "the class 'm.class'")]
    [InlineData("cm\nfunction\n)R}b.", "BUILD", 15, "what 'm.function' gives")]
    // NEWOBJ and NEWOBJ_EX
    [InlineData("cm\nfunction\n)\u0081.", "NEWOBJ", 13, "the function 'm.function'")]
    [InlineData("cm\nconstant\n)\u0081.", "NEWOBJ", 13, "the constant 'm.constant'")]
    [InlineData("cm\nclass\n]\u0081.", "NEWOBJ", 10, "a list")]
    [InlineData("cm\nclass\n))\u0092.", "NEWOBJ_EX", 11, "a tuple")]
    [InlineData("cm\nclass\n}}\u0092.", "NEWOBJ_EX", 11, "a dict")]
    [InlineData("cm\nfunction\n)}\u0092.", "NEWOBJ_EX", 14, "the function 'm.function'")]
    // REDUCE
    [InlineData("N)R.", "REDUCE", 2, "None")]
    [InlineData("\u008c\u0001m)R.", "REDUCE", 4, "text")]
    [InlineData("cm\nconstant\n)R.", "REDUCE", 13, "the constant 'm.constant'")]
    [InlineData("cm\nfunction\n]R.", "REDUCE", 13, "a list")]
    [InlineData("cm\nfunction\nNR.", "REDUCE", 13, "None")]
    [InlineData("cm\nclass\n)R)R.", "REDUCE", 12, "what 'm.class' gives")]
    // BINPERSID
    [InlineData("U\u00010Q.", "BINPERSID", 3, "text")]
    public void P5_WrongTarget_SaysWhatIsExpectedAndFound(string pickle, string opcode, int offset, string found)
    {
        var exception = PickleReading.Invalid(pickle, opcode, offset);
        Assert.Contains($"and finds {found};", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Message_HostileName_DoesNotWriteToTheTerminal()
    {
        var exception = PickleReading.Refused<UnsafePickleException>(PickleReading.Bytes("c\u001b[2J" + new string('x', 10_000) + "\ny\n."));
        Assert.DoesNotContain('\u001b', exception.Message);
    }
}
