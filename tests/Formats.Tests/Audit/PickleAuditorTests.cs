using System.Text;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What an audit says of files of each kind, held against what their pickles are known to name.</summary>
public sealed class PickleAuditorTests : IDisposable
{
    private const string System = "cos\nsystem\n";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("hostile/eval.legacy.pt", AuditedContainer.TorchStream, "__builtin__.eval")]
    [InlineData("hostile/os_system.zip.pt", AuditedContainer.TorchArchive, "posix.system")]
    [InlineData("hostile/proto0_inst.pt", AuditedContainer.Pickle, "os.system")]
    [InlineData("hostile/stack_global.pkl", AuditedContainer.Pickle, "builtins.exec")]
    public async Task Audit_HostileGoldenFile_NamesWhatIsRefused(string file, AuditedContainer container, string global)
    {
        var audit = await AuditAsync(GoldenArchive.Read("torch", file));
        Assert.Equal((AuditVerdict.Unsafe, container, null), (audit.Verdict, audit.Container, audit.Failure));
        var refused = Assert.Single(audit.Pickles.SelectMany(pickle => pickle.Globals), found => found.Verdict == AuditedGlobalVerdict.Refused);
        Assert.Equal(global, refused.FullName);
        Assert.Contains("runs code", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Audit_GoldenFiles_AreSafeOrNameForeignClasses()
    {
        foreach (var name in GoldenArchive.Names("torch").Where(name => Path.GetExtension(name) is ".pt" or ".bin" && !name.StartsWith("hostile", StringComparison.Ordinal)))
        {
            var audit = await AuditAsync(GoldenArchive.Read("torch", name));
            var expected = name.StartsWith("checkpoint", StringComparison.Ordinal) || name.StartsWith("wholemodule", StringComparison.Ordinal)
                ? AuditVerdict.UnknownGlobals
                : AuditVerdict.Safe;
            Assert.Equal((name, expected, null), (name, audit.Verdict, audit.Failure));
            Assert.NotEmpty(audit.Pickles);
            Assert.All(audit.Pickles, pickle => Assert.Equal(1, Assert.Single(pickle.Opcodes, opcode => opcode.Name == "STOP").Count));
        }
    }

    [Fact]
    public async Task Audit_Stream_ListsFivePicklesAndTheStoragesOfTheObject()
    {
        var audit = await AuditAsync(GoldenArchive.Read("torch", "tied.legacy.pt"));
        Assert.Equal(["magic number", "protocol", "system", "object", "storage keys"], audit.Pickles.Select(pickle => pickle.Name));
        var storage = Assert.Single(audit.Pickles[3].Storages);
        Assert.Equal(("FloatStorage", 66L, 264L, "cpu"), (storage.Type, storage.Elements, storage.Bytes, storage.Location));
        Assert.Equal(264, audit.Pickles[3].StorageBytes);
        var offset = 0L;
        foreach (var pickle in audit.Pickles)
        {
            Assert.Equal(offset, pickle.Offset);
            offset += pickle.Length;
        }
    }

    [Fact]
    public async Task Audit_FirstPickleMakesTheMagicByACall_GoesOnToTheOthers()
    {
        var audit = await AuditAsync(Bytes($"\u0080\u0002cm\nf\n)R.\u0080\u0002{System}."));
        Assert.Equal(["m.f", "os.system"], audit.Pickles.SelectMany(pickle => pickle.Globals).Select(global => global.FullName));
    }

    [Theory]
    // numpy.ndarray made by a call, which compares with the magic number to an empty array; behind it a pickle without a mark.
    [InlineData("N0")]
    [InlineData("]K\u00010N0]NaK\0Ns0")]
    public async Task Audit_FirstPickleIsAnObject_GoesOnToWhatHasNoMark(string beginning)
    {
        var audit = await AuditAsync(Bytes($"\u0080\u0002cnumpy\nndarray\n)R.{beginning}{System}."));
        Assert.Equal((AuditVerdict.Unsafe, 2), (audit.Verdict, audit.Pickles.Length));
        Assert.Equal("os.system", Assert.Single(audit.Pickles[1].Globals).FullName);
    }

    [Fact]
    public async Task Audit_PlainPickleBeforeOneWithoutAMark_ListsIt() =>
        Assert.Equal(AuditVerdict.Unsafe, (await AuditAsync(Bytes($"\u0080\u0002N.N0{System}."))).Verdict);

    [Theory]
    [InlineData("\u0080\u0002cnumpy\nndarray\n)R.")]
    [InlineData("\u0080\u0002N.")]
    public async Task Audit_NoPickleFollows_SaysHowMuchDoes(string first)
    {
        foreach (var rest in (string[])["\0\0\0\0", "words", "N0\u00ff", "X\u00ff\u00ff\u00ff\u007f"])
        {
            var audit = await AuditAsync(Bytes(first + rest));
            Assert.Null(audit.Failure);
            Assert.Null(Assert.Single(audit.Pickles).Failure);
            Assert.StartsWith($"{rest.Length} bytes follow", Assert.Single(audit.Notes), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Audit_ManyPicklesOfAnArchive_ShareWhatOneMayTake()
    {
        var globals = Bytes("\u0080\u0002" + string.Concat(Enumerable.Range(0, 40).Select(index => $"cm\nf{index}\n0")) + "N.");
        var builder = new ZipBuilder();
        for (var record = 0; record < 20; record++)
        {
            builder.Add($"a/{record}.pkl", globals);
        }

        var limits = CheckpointOptions.Default with { Torch = TorchLimits.Default with { MaximumPickleExpansionBytes = 100_000 } };
        await using var source = new MemorySource(builder.ToBytes(), "a.pt");
        var audit = await PickleAuditor.AuditAsync(source, limits);
        Assert.IsType<CheckpointLimitException>(audit.Failure);
        Assert.InRange(audit.Pickles.Length, 2, 10);
        Assert.Null(audit.Pickles[0].Failure);
        Assert.Null((await AuditAsync(builder.ToBytes())).Failure);
    }

    [Fact]
    public async Task Audit_InflatedPicklesTogetherAboveTheLimit_AreBroken()
    {
        var pickle = Bytes("\u0080\u0002" + string.Concat(Enumerable.Repeat("N0", 500)) + "N.");
        var bytes = new ZipBuilder()
            .Add("a/0.pkl", pickle, record => record.Deflate())
            .Add("a/1.pkl", pickle, record => record.Deflate())
            .Add("a/2.pkl", pickle, record => record.Deflate())
            .ToBytes();
        var limits = CheckpointOptions.Default with { Zip = ZipLimits.Default with { MaximumInflatedBytes = 2 * pickle.Length } };
        await using var source = new MemorySource(bytes, "a.pt");
        var audit = await PickleAuditor.AuditAsync(source, limits);
        Assert.Equal([AuditVerdict.Safe, AuditVerdict.Safe, AuditVerdict.Broken], audit.Pickles.Select(found => found.Verdict));
        Assert.IsType<CheckpointLimitException>(audit.Pickles[2].Failure);
        Assert.Equal(AuditVerdict.Broken, audit.Verdict);
    }

    [Fact]
    public async Task Audit_OneGlobalOften_CountsItWithItsFirstPlace()
    {
        var pickle = Assert.Single((await AuditAsync(Bytes($"\u0080\u0002N0{System}0{System}0ctorch\nSize\n."))).Pickles);
        Assert.Equal(
            [("os.system", 2L, 4L, AuditedGlobalVerdict.Refused), ("torch.Size", 1, 28, AuditedGlobalVerdict.Allowed)],
            pickle.Globals.Select(global => (global.FullName, global.Count, global.FirstOffset, global.Verdict)));
        Assert.Equal((2, 9L), (pickle.Protocol, pickle.OpcodeTotal));
        Assert.Equal(["POP 3", "GLOBAL 3", "STOP 1", "NONE 1", "PROTO 1"], pickle.Opcodes.Select(opcode => $"{opcode.Name} {opcode.Count}"));
    }

    [Fact]
    public async Task Audit_BrokenPickle_HasWhatCameBeforeAndTheError()
    {
        var audit = await AuditAsync(Bytes("\u0080\u0002cforeign\nname\n0\u00ff"));
        var pickle = Assert.Single(audit.Pickles);
        Assert.Equal((AuditVerdict.Broken, CheckpointErrorCode.PickleInvalid), (audit.Verdict, pickle.Failure!.Code));
        Assert.Equal("foreign.name", Assert.Single(pickle.Globals).FullName);
        Assert.Equal(AuditVerdict.Unsafe, (await AuditAsync(Bytes($"\u0080\u0002{System}\u00ff"))).Verdict);
    }

    [Fact]
    public async Task Audit_Archive_LooksAtEveryPickleOfIt()
    {
        var bytes = new ZipBuilder()
            .Add("a/data.pkl", Bytes("\u0080\u0002}."))
            .Add("a/constants.pkl", Bytes($"\u0080\u0002{System}."), record => record.Deflate())
            .Add("elsewhere/more.PKL", Bytes("\u0080\u0002cnt\nsystem\n."))
            .Add("a/code/x.py", "import os"u8.ToArray())
            .Add("a/data/0", Bytes($"\u0080\u0002{System}."))
            .ToBytes();
        var audit = await AuditAsync(bytes);
        Assert.Equal(
            [("a/data.pkl", "", true), ("a/constants.pkl", "os.system", false), ("elsewhere/more.PKL", "nt.system", true)],
            audit.Pickles.Select(pickle => (pickle.Name, string.Concat(pickle.Globals.Select(global => global.FullName)), pickle.Offset is not null)));
        // What loading refuses is a finding too: a record lies outside.
        Assert.Equal((AuditVerdict.Unsafe, AuditedContainer.TorchScript), (audit.Verdict, audit.Container));
        Assert.Contains("elsewhere", Assert.IsType<InvalidCheckpointException>(audit.Failure).Message, StringComparison.Ordinal);
        Assert.Contains("never looked at", Assert.Single(audit.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Audit_OneRecordIsBroken_DoesNotHideTheOthers()
    {
        var bytes = new ZipBuilder()
            .Add("a/data.pkl", Bytes("\u0080\u0002}."), record => record.Both(header => header.Crc ^= 1))
            .Add("a/constants.pkl", Bytes($"\u0080\u0002{System}."))
            .ToBytes();
        var audit = await AuditAsync(bytes);
        Assert.Equal([AuditVerdict.Broken, AuditVerdict.Unsafe], audit.Pickles.Select(pickle => pickle.Verdict));
    }

    [Fact]
    public async Task Audit_LocalNameIsAnother_IsBroken()
    {
        var audit = await AuditAsync(new ZipBuilder().Add("a/data.pkl", Bytes("\u0080\u0002}."), record => record.Local.Name = "a/data.pk1"u8.ToArray()).ToBytes());
        Assert.Equal((AuditVerdict.Broken, AuditedContainer.ZipArchive), (audit.Verdict, audit.Container));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, Assert.IsType<InvalidCheckpointException>(audit.Failure).Code);
    }

    [Theory]
    [InlineData("'|O'", "")]
    [InlineData("'O'", "")]
    [InlineData("[('a', '<f4'), ('b', '|O')]", "")]
    [InlineData("[('a', [('b', '|O')])]", "")]
    [InlineData("('|O', (2,))", "")]
    [InlineData("'object'", "")]
    [InlineData("'object_'", "")]
    [InlineData("'i4,O'", "")]
    [InlineData("'1O'", "")]
    [InlineData("'(1,)O'", "")]
    [InlineData("('object', (1,))", "")]
    [InlineData("[('a', '<i4'), ('b', 'object')]", "")]
    [InlineData("('V8', [('a', 'O')])", "")]
    [InlineData("[('a', 'V8', 'O')]", "")]
    [InlineData("'<M8[ns]'", null)]
    [InlineData("'|b1'", null)]
    [InlineData("[('a', '<i4'), ('b', '<f4', (2,))]", null)]
    [InlineData("'<f4'", null)]
    [InlineData("'|S3'", null)]
    [InlineData("[('O', '<f4')]", null)]
    public async Task Audit_Array_ScansThePickleOfObjects(string descriptor, string? pickle)
    {
        var header = $"{{'descr': {descriptor}, 'fortran_order': False, 'shape': (1,), }}\n";
        byte[] array = [0x93, .. "NUMPY\u0001\0"u8, (byte)header.Length, 0, .. Bytes(header), .. Bytes($"\u0080\u0002{System}.")];
        foreach (var (bytes, container) in ((byte[], AuditedContainer)[])
            [
                (array, AuditedContainer.NumpyArray),
                (new ZipBuilder().Add("x.npy", array).ToBytes(), AuditedContainer.NumpyArchive),
                (new ZipBuilder().Add("x.npy", array, record => record.Deflate()).ToBytes(), AuditedContainer.NumpyArchive),
                (new ZipBuilder().Add("under-another-name", array).ToBytes(), AuditedContainer.ZipArchive),
            ])
        {
            var audit = await AuditAsync(bytes);
            Assert.Equal(container, audit.Container);
            Assert.Equal(pickle is null ? AuditVerdict.Safe : AuditVerdict.Unsafe, audit.Verdict);
            Assert.Equal(pickle is null ? [] : ["os.system"], audit.Pickles.SelectMany(found => found.Globals).Select(global => global.FullName));
        }
    }

    [Fact]
    public async Task Audit_FormatsWithoutPickles_AreSafe()
    {
        Assert.Equal((AuditedContainer.Safetensors, AuditVerdict.Safe), await ShortAsync(SafetensorsBuilder.Tiny()));
        Assert.Equal((AuditedContainer.Gguf, AuditVerdict.Safe), await ShortAsync(new GgufBuilder().Tensor("a", 0, [1], new byte[4]).ToBytes()));
        Assert.Equal((AuditedContainer.ZipArchive, AuditVerdict.Safe), await ShortAsync(new ZipBuilder().Add("a.txt", "a"u8.ToArray()).ToBytes()));
        Assert.Equal((AuditedContainer.Unknown, AuditVerdict.Broken), await ShortAsync([.. "7z\u00bc\u00af\u0027\u001c"u8, .. new byte[32]]));
        Assert.Equal((AuditedContainer.Unknown, AuditVerdict.Broken), await ShortAsync(SafetensorsBuilder.Tiny()[..^1]));
    }

    [Theory]
    [InlineData("N0")]
    [InlineData("I1\n0")]
    [InlineData("K\u00010")]
    // What is taken for safetensors: a length, and the brace of a header that is none.
    [InlineData("U\u0007\0\0\0\0\0\0{0")]
    public async Task Audit_NoMarkOfAPickle_IsStillFoundOut(string beginning)
    {
        var audit = await AuditAsync(Bytes($"{beginning}{System}."));
        Assert.Equal(AuditVerdict.Unsafe, audit.Verdict);
        Assert.Equal("os.system", Assert.Single(Assert.Single(audit.Pickles).Globals).FullName);
        Assert.NotNull(audit.Failure);
    }

    [Theory]
    [InlineData("important text\nthat goes on\n")]
    [InlineData("important text")]
    [InlineData("const x=1;\nlet y;\n")]
    [InlineData("const x=1;\nlet os.system;\n")]
    [InlineData("import os\nprint(os.getcwd())\n")]
    [InlineData("Not a pickle, but \u00c3\u00a9crit.")]
    // Whose first letters are opcodes with arguments that can be.
    [InlineData("(I1\n, said he, and more\n")]
    public async Task Audit_Text_IsBrokenAndNamesNothing(string text)
    {
        foreach (var length in (int[])[0, 10_000])
        {
            var audit = await AuditAsync(Bytes(text + new string('\n', length)));
            Assert.Equal(AuditVerdict.Broken, audit.Verdict);
            Assert.Empty(audit.Pickles.SelectMany(pickle => pickle.Globals));
            Assert.Empty(audit.Pickles.SelectMany(pickle => pickle.RefusedOpcodes));
            Assert.Contains(
                audit.Notes.Concat(audit.Pickles.Select(pickle => pickle.Failure!.Message)),
                message => message.Contains("this is text, no pickle", StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("cos\nsystem\n~")]
    [InlineData("(S'ls'\nios\nsystem\n~")]
    [InlineData("ios\nsystem\n")]
    [InlineData("cos.no module\nname\n~")]
    // Any name that can be a module's is imported before the pickle breaks.
    [InlineData("(S'ls'\nimine\nname\n~")]
    public async Task Audit_BrokenPickleOfText_IsUnsafeStill(string pickle)
    {
        var audit = await AuditAsync(Bytes(pickle));
        Assert.Equal(AuditVerdict.Unsafe, audit.Verdict);
        Assert.Single(Assert.Single(audit.Pickles).Globals);
    }

    [Theory]
    [InlineData(System)]
    // What the stack machine here refuses, and Python's does not.
    [InlineData("]NaK\0Ns0" + System)]
    [InlineData("\u008c\u0001\u00ff0" + System)]
    [InlineData("]NaK\0Ns0\u008c\u0002os\u008c\u0006system\u0093")]
    [InlineData("]NaK\0Ns0(ios\nsystem\n")]
    public async Task Audit_ValidSafetensorsThatIsAPickleToo_IsUnsafe(string opcodes)
    {
        var data = Bytes($"{opcodes}.");
        // The length of the header is also the beginning of a text of 16 bytes, behind which more texts lead to the data.
        const int headerLength = 0x1055;
        var tail = $"\":{{\"dtype\":\"U8\",\"shape\":[{data.Length}],\"data_offsets\":[0,{data.Length}]}}}}";
        var hops = string.Concat(Enumerable.Repeat("U~" + new string('a', 126), 32));
        var header = "{\"aaaaaaaa" + hops + "UI" + new string('a', 'I' - tail.Length) + tail;
        Assert.Equal(headerLength, header.Length);
        byte[] bytes = [.. BitConverter.GetBytes((long)headerLength), .. Bytes(header), .. data];
        await using (var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes)))
        {
            Assert.Equal(data.Length, Assert.Single(checkpoint.Tensors).ByteLength);
        }

        var audit = await AuditAsync(bytes);
        Assert.Equal((AuditVerdict.Unsafe, AuditedContainer.Safetensors, null), (audit.Verdict, audit.Container, audit.Failure));
        Assert.Equal("os.system", Assert.Single(Assert.Single(audit.Pickles).Globals).FullName);
        Assert.Single(audit.Notes);
    }

    [Fact]
    public async Task Audit_Folder_LooksAtWhatCanHoldAPickle()
    {
        var pickle = Bytes($"\u0080\u0002{System}.");
        foreach (var name in (string[])["training_args.bin", "below/optimizer.pt", "rng_state_10.pth", "rng_state_9.pth", "named.otherwise"])
        {
            _folder.Write(name, pickle);
        }

        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("config.json", "{}");
        _folder.Write("other.zip", new ZipBuilder().Add("a.txt", "a"u8.ToArray()).ToBytes());
        var found = new List<string>();
        await foreach (var audit in PickleAuditor.AuditAsync(_folder.Path))
        {
            Assert.Equal(AuditVerdict.Unsafe, audit.Verdict);
            found.Add(Path.GetRelativePath(_folder.Path, audit.Path));
        }

        Assert.Equal(["below/optimizer.pt", "named.otherwise", "rng_state_9.pth", "rng_state_10.pth", "training_args.bin"], found);
    }

    [Fact]
    public async Task Audit_GoldenFilesOfOtherFormats_AreNeverUnsafeAndThoseThatOpenSafe()
    {
        var opened = 0;
        foreach (var (set, name) in ((string[])["safetensors", "gguf"]).SelectMany(set => GoldenArchive.Names(set).Select(name => (set, name))))
        {
            var audit = await AuditAsync(GoldenArchive.Read(set, name));
            Assert.Empty(audit.Pickles);
            Assert.True(audit.Verdict is AuditVerdict.Safe or AuditVerdict.Broken, name);
            opened += audit.Verdict == AuditVerdict.Safe ? 1 : 0;
        }

        Assert.InRange(opened, 20, int.MaxValue);
    }

    [Fact]
    public async Task Audit_HealthySafetensorsWhoseLengthIsAnyOpcode_IsSafe()
    {
        // The first byte is the length of the header, so that a walk begins with any opcode and goes on through numbers.
        var data = new byte[1 << 16];
        new Random(5).NextBytes(data);
        const string tensor = "{\"model.layers.0.weight\":{\"dtype\":\"U8\",\"shape\":[65536],\"data_offsets\":[0,65536]}}";
        for (var length = 256; length < 1024; length++)
        {
            var audit = await AuditAsync([.. BitConverter.GetBytes((long)length), .. Bytes(tensor.PadRight(length)), .. data]);
            Assert.Equal((length, AuditVerdict.Safe, 0), (length, audit.Verdict, audit.Pickles.Length));
        }
    }

    [Fact]
    public async Task Audit_FolderWithPicklesOfAnyName_ListsThoseThatImport()
    {
        _folder.Write("a.th", Bytes("N."));
        _folder.Write("b.dill", Bytes($"N0{System}."));
        foreach (var name in (string[])["c.model", "d.safetensors", "e", "f.txt"])
        {
            _folder.Write(name, Bytes($"N0{System}."));
        }

        _folder.Write("g.txt", "certifi\nidna\nnumpy\n");
        _folder.Write("h.model", Bytes("\n\u000e\n\u0005<unk>"));
        _folder.Write("i.json", "{}");
        _folder.Write("j", "");
        _folder.Write("k.safetensors", SafetensorsBuilder.Tiny());
        var found = new List<(string, bool)>();
        await foreach (var audit in PickleAuditor.AuditAsync(_folder.Path))
        {
            found.Add((Path.GetFileName(audit.Path), audit.Verdict == AuditVerdict.Unsafe));
        }

        Assert.Equal([("a.th", false), ("b.dill", true), ("c.model", true), ("d.safetensors", true), ("e", true), ("f.txt", true)], found);
    }

    [Fact]
    public async Task Audit_PathThatIsNot_IsUnreadable()
    {
        await foreach (var audit in PickleAuditor.AuditAsync(_folder["none.pt"]))
        {
            Assert.Equal(AuditVerdict.Unreadable, audit.Verdict);
            Assert.IsType<FileNotFoundException>(audit.Failure);
        }
    }

    [Fact]
    public async Task Audit_ShortThrowingAndCancelledReads_GiveTheSameAreSaidAndEnd()
    {
        var bytes = GoldenArchive.Read("torch", "script.jit.pt");
        var whole = await AuditAsync(bytes);
        await using var slow = new ShortReadSource(new MemorySource(bytes, "a.pt"), 7);
        var again = await PickleAuditor.AuditAsync(slow);
        Assert.Equal(whole.Pickles.SelectMany(pickle => pickle.Globals), again.Pickles.SelectMany(pickle => pickle.Globals));
        await using var cut = ThrowingSource.AfterReads(new MemorySource(bytes, "a.pt"), 3);
        var failed = await PickleAuditor.AuditAsync(cut);
        Assert.Equal(AuditVerdict.Unreadable, failed.Verdict);
        Assert.IsType<IOException>(failed.Failure);
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        await using var source = new MemorySource(bytes, "a.pt");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PickleAuditor.AuditAsync(source, null, stop.Token));
    }

    private static async Task<(AuditedContainer, AuditVerdict)> ShortAsync(byte[] bytes) =>
        await AuditAsync(bytes) is var audit ? (audit.Container, audit.Verdict) : default;

    private static async Task<FileAudit> AuditAsync(byte[] bytes)
    {
        await using var source = new MemorySource(bytes, "a.pt");
        return await PickleAuditor.AuditAsync(source);
    }

    private static byte[] Bytes(string characters) => Encoding.Latin1.GetBytes(characters);
}
