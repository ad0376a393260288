using System.Text;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What an archive of PyTorch's must be besides its pickle (bad inputs P7, and compressed data of P8).</summary>
public sealed class TorchArchiveTests
{
    private static readonly byte[] Value = Dictionary(("a", Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1])));

    [Theory]
    [InlineData("archive")]
    [InlineData("")]
    [InlineData("any name at all")]
    [InlineData("two/levels")]
    public async Task Open_AnyRootFolder_IsFound(string root)
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(new TorchBuilder { Root = root }.AddStorage("0", [1, 2, 3, 4]).ToArchive(Value));
        Assert.Equal([1, 2, 3, 4], await TorchOpening.ValuesAsync(checkpoint["a"]));
        Assert.Equal(root, ((TorchHeader)checkpoint.Files[0].Header!).Root);
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("3\n", 3)]
    [InlineData("10", 10)]
    [InlineData(null, null)]
    public async Task Open_KnownVersion_IsInTheHeader(string? version, int? expected)
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(new TorchBuilder { Version = version }.AddStorage("0", new byte[4]).ToArchive(Value));
        Assert.Equal(expected, ((TorchHeader)checkpoint.Files[0].Header!).Version);
    }

    [Fact]
    public async Task Open_VersionAtItsNewPlace_IsInTheHeader()
    {
        var file = new TorchBuilder { Version = null }.AddRecord(".data/version", "4\n"u8.ToArray()).AddStorage("0", new byte[4]).ToArchive(Value);
        await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        Assert.Equal(4, ((TorchHeader)checkpoint.Files[0].Header!).Version);
    }

    [Theory]
    [InlineData("99")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("three")]
    [InlineData("")]
    public async Task P7_UnknownVersion_IsRefused(string version)
    {
        var exception = await TorchOpening.InvalidAsync(
            new TorchBuilder { Version = version }.AddStorage("0", new byte[4]).ToArchive(Value), CheckpointErrorCode.UnknownVersion);
        Assert.Contains($"'{version}'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("middle")]
    [InlineData("")]
    [InlineData("a word that is much longer than any byte order that there has ever been in a file")]
    public async Task P7_UnknownByteOrder_IsRefused(string order) => await TorchOpening.InvalidAsync(
        new TorchBuilder().AddRecord("byteorder", Encoding.ASCII.GetBytes(order)).AddStorage("0", new byte[4]).ToArchive(Value), CheckpointErrorCode.ArchiveInvalid);

    [Fact]
    public async Task P7_MissingStorage_NamesRecordAndTensor()
    {
        var exception = await TorchOpening.InvalidAsync(new TorchBuilder().AddStorage("1", new byte[4]).ToArchive(Value), CheckpointErrorCode.ArchiveInvalid, "a");
        Assert.Contains("'archive/data/0'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P7_EntryOutsideTheRoot_IsRefused()
    {
        var exception = await TorchOpening.InvalidAsync(
            new TorchBuilder().AddOutside("elsewhere/data/0", new byte[4]).AddStorage("0", new byte[4]).ToArchive(Value), CheckpointErrorCode.ArchiveInvalid);
        Assert.Contains("'elsewhere/data/0'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P7_TwoPickles_AreRefused()
    {
        var exception = await TorchOpening.InvalidAsync(
            new TorchBuilder().AddRecord("more/data.pkl", Complete(None)).AddStorage("0", new byte[4]).ToArchive(Value), CheckpointErrorCode.ArchiveInvalid);
        Assert.Contains("'archive/more/data.pkl'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P7_ArchiveWithoutAPickle_IsRefused() => await TorchOpening.InvalidAsync(
        new TorchBuilder().AddStorage("0", new byte[4]).ToArchiveOf(null), CheckpointErrorCode.ArchiveInvalid);

    [Fact]
    public async Task P8_CompressedStorage_IsNotSupportedAndSaysWhatToDo()
    {
        var file = new TorchBuilder().AddRecord("data/0", new byte[100_000], isCompressed: true)
            .ToArchive(Dictionary(("a", Tensor(Storage("ByteStorage", "0", 100_000), 0, [4], [1]))));
        var exception = await TorchOpening.RefusedAsync<UnsupportedCheckpointException>(file, CheckpointErrorCode.Unsupported);
        Assert.Equal("a", exception.Tensor);
        Assert.Contains("without compression", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_CompressedPickle_IsInflated()
    {
        var file = new TorchBuilder().AddRecord("data.pkl", Complete(Value), isCompressed: true).AddStorage("0", [1, 2, 3, 4]).ToArchiveOf(null);
        await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        Assert.Equal([1, 2, 3, 4], await TorchOpening.ValuesAsync(checkpoint["a"]));
    }

    [Fact]
    public async Task Open_PickleAboveTheLimit_NamesTheOption()
    {
        var options = new CheckpointOptions { Torch = new TorchLimits { MaximumPickleBytes = 100 } };
        var exception = await TorchOpening.RefusedAsync<CheckpointLimitException>(
            new TorchBuilder().AddStorage("0", new byte[4]).ToArchive(Value), CheckpointErrorCode.LimitExceeded, options);
        Assert.Equal("TorchLimits.MaximumPickleBytes", exception.Option);
    }

    [Fact]
    public async Task Open_StorageThatNothingNames_IsCountedAndElsePassedOver()
    {
        await using var checkpoint = await TorchOpening.AcceptedAsync(new TorchBuilder().AddStorage("0", new byte[4]).AddStorage("1", new byte[4]).ToArchive(Value));
        Assert.Single(checkpoint.Tensors);
        Assert.Empty(checkpoint.Warnings);
        Assert.Equal(2, ((TorchHeader)checkpoint.Files[0].Header!).StorageCount);
    }

    [Fact]
    public async Task Open_FrozenTorchScript_SaysThatItsWeightsAreConstantsOfItsCode()
    {
        // As torch.jit.freeze leaves it: no attribute has a tensor, and what had been weights belongs to the code.
        var builder = new TorchBuilder().AddRecord("constants.pkl", "not even a pickle"u8.ToArray());
        var module = Instance("__torch__", "Net", Dictionary(("training", Truth(false))));
        await using (var none = await TorchOpening.AcceptedAsync(builder.ToArchive(module)))
        {
            Assert.Empty(none.Warnings);
        }

        await using var frozen = await TorchOpening.AcceptedAsync(
            builder.AddRecord("constants/0", new byte[8]).AddRecord("constants/1", new byte[4]).ToArchive(module));
        Assert.Empty(frozen.Tensors);
        var warning = Assert.Single(frozen.Warnings).Message;
        Assert.Contains("2 tensors are constants of its code", warning, StringComparison.Ordinal);
        Assert.Contains("torch.jit.freeze", warning, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("constants.pkl")]
    [InlineData("code/__torch__.py")]
    public async Task Open_TorchScript_TakesItsOwnClassesWithoutTheOptionAndNeverLooksAtCode(string record)
    {
        var module = Instance("__torch__.my", "Net", Dictionary(
            ("training", Truth(true)),
            ("weight", Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1])),
            ("sizes", Call("torch.jit._pickle", "build_intlist", List(Whole(1), Whole(2)))),
            ("named", Call("torch.jit._pickle", "restore_type_tag", Dictionary(("b", Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1]))), Text("Dict[str, Tensor]"))),
            ("child", Instance("__torch__.my.___torch_mangle_1", "Net", Dictionary(("bias", Tensor(Storage("ByteStorage", "0", 4), 0, [2], [1])))))));
        var builder = new TorchBuilder().AddRecord(record, "not even a pickle"u8.ToArray()).AddStorage("0", [1, 2, 3, 4]);
        await using var checkpoint = await TorchOpening.AcceptedAsync(builder.ToArchive(module));
        Assert.Equal(["child.bias", "named.b", "weight"], checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(new TorchList(1L, 2L), checkpoint.Metadata["sizes"]);
        Assert.Equal(TorchContainer.TorchScript, ((TorchHeader)checkpoint.Files[0].Header!).Container);
        await TorchOpening.RefusedAsync<UnsafePickleException>(
            new TorchBuilder().AddStorage("0", new byte[4]).ToArchive(module), CheckpointErrorCode.UnsafePickle);
    }
}
