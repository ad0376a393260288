using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What the writer does not write, and that nothing is left in the folder then.</summary>
public sealed class SafetensorsWriterRefusalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Target => _folder["a.safetensors"];

    public void Dispose()
    {
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path, ".*"));
        _folder.Dispose();
    }

    // Neither attributes nor the list that a test run passes around can keep half of a surrogate pair.
    public static TheoryData<string> NamesThatNoReaderTakes() => ["__metadata__", "a\0b", "\ud800", "x\udc00y", "\udc00\ud800"];

    public static TheoryData<string, string> MetadataThatNoReaderTakes() =>
        new() { { "a\0", "b" }, { "a", "\0b" }, { "a", "\ud800" }, { "\udfff", "a" } };

    [Theory]
    [MemberData(nameof(NamesThatNoReaderTakes), DisableDiscoveryEnumeration = true)]
    public async Task Create_NameThatNoReaderTakes_Throws(string name)
    {
        var exception = await CreateRefusedAsync<ArgumentException>([new(name, DType.U8, Shape.Scalar)]);
        Assert.Equal("tensors", exception.ParamName);
        Assert.Contains(Quoted.Name(name), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_NameGivenTwice_NamesIt()
    {
        var exception = await CreateRefusedAsync<ArgumentException>(
            [new("twice", DType.U8, Shape.Scalar), new("once", DType.U8, Shape.Scalar), new("twice", DType.F32, Shape.Scalar)]);
        Assert.Contains("'twice'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_TypeOfAnotherFormat_Throws()
    {
        foreach (var dtype in DType.All.Where(dtype => !SafetensorsTypes.InEnumOrder.Contains(dtype.ToString())))
        {
            var exception = await CreateRefusedAsync<ArgumentException>([new("block", dtype, new Shape(256))]);
            Assert.Contains($"'block': {dtype} [256]", exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(DType.F4, 3)]
    [InlineData(DType.F6_E2M3, 2)]
    public async Task Create_SubByteTensorThatEndsWithinAByte_Throws(DType dtype, int elements)
    {
        await CreateRefusedAsync<ArgumentException>([new("a", dtype, new Shape(elements))]);
    }

    [Theory]
    [MemberData(nameof(MetadataThatNoReaderTakes), DisableDiscoveryEnumeration = true)]
    public async Task Create_MetadataThatNoReaderTakes_Throws(string key, string value)
    {
        var exception = await CreateRefusedAsync<ArgumentException>([], new Dictionary<string, string> { ["fine"] = "", [key] = value });
        Assert.Equal("metadata", exception.ParamName);
    }

    [Fact]
    public async Task Create_HeaderAboveWhatReadersTake_Throws()
    {
        var metadata = new Dictionary<string, string> { ["text"] = new string('t', (int)SafetensorsLimits.DefaultMaximumHeaderBytes) };
        var exception = await CreateRefusedAsync<CheckpointLimitException>([], metadata);
        Assert.Equal(CheckpointErrorCode.HeaderTooLarge, exception.Code);
        Assert.Equal(SafetensorsLimits.DefaultMaximumHeaderBytes, exception.Maximum);
        Assert.Contains(Target, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_SizeBeyondSixtyThreeBits_Throws()
    {
        await CreateRefusedAsync<ArgumentException>([new("a", DType.U8, new Shape(long.MaxValue)), new("b", DType.U8, new Shape(1))]);
        await CreateRefusedAsync<ArgumentException>([new("a", DType.U64, new Shape(1L << 60))]);
    }

    [Fact]
    public async Task Create_LargerThanAnyDisk_ThrowsBeforeAnythingIsWritten()
    {
        await CreateRefusedAsync<IOException>([new("a", DType.U8, new Shape(1L << 61))]);
    }

    [Fact]
    public async Task Create_CancelledToken_Throws()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => SafetensorsWriter.CreateAsync(Target, [], null, overwrite: true, new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Create_LargerThanAnyDisk_InAFolder_LeavesTheFolderWithoutIt()
    {
        using (var output = AtomicFolder.Create(_folder["d"]))
        {
            await Assert.ThrowsAsync<IOException>(
                () => SafetensorsWriter.CreateAsync(output, "a.safetensors", [new("a", DType.U8, new Shape(1L << 61))]));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => SafetensorsWriter.CreateAsync(output, "a.safetensors", [], null, new CancellationToken(canceled: true)));
            output.Commit();
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder["d"]));
        Assert.Equal([_folder["d"]], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Create_FolderThatIsNotThere_Throws()
    {
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => SafetensorsWriter.CreateAsync(_folder["missing/a.safetensors"], []));
    }

    [Fact]
    public async Task Dispose_WithoutCommit_LeavesNothing()
    {
        await using (var writer = await SafetensorsWriter.CreateAsync(Target, [new("a", DType.U8, new Shape(4))]))
        {
            await writer.WriteAsync("a", 0, new byte[4]);
            // Without a name until then, or under a hidden one where there is no such thing.
            Assert.False(File.Exists(Target));
            Assert.Equal(OperatingSystem.IsLinux() ? 0 : 1, Directory.GetFileSystemEntries(_folder.Path).Length);
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Dispose_WithoutCommit_LeavesTheOldFile()
    {
        _folder.Write("a.safetensors", "old");
        await using (await SafetensorsWriter.CreateAsync(Target, []))
        {
        }

        Assert.Equal("old", await File.ReadAllTextAsync(Target));
    }

    [Fact]
    public async Task Commit_TensorNotWrittenWhole_NamesItAndLeavesNothing()
    {
        await using (var writer = await SafetensorsWriter.CreateAsync(Target, [new("whole", DType.U8, new Shape(4)), new("half", DType.U8, new Shape(4))]))
        {
            await writer.WriteAsync("whole", 0, new byte[4]);
            await writer.WriteAsync("half", 2, new byte[2]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
            Assert.Contains("2 of 4 bytes of tensor 'half'", exception.Message, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Commit_AfterAnEarlyOne_SucceedsOnceTheRestIsThere()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(Target, [new("a", DType.U8, new Shape(2))]);
        await writer.WriteAsync("a", 0, new byte[1]);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
        await writer.WriteAsync("a", 1, new byte[1]);
        await writer.CommitAsync();
        await using var checkpoint = await Checkpoint.OpenAsync(Target);
        Assert.Equal(2, checkpoint["a"].ByteLength);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 5)]
    [InlineData(4, 1)]
    [InlineData(5, 0)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(long.MaxValue - 2, 4)]
    public async Task Write_RangeBeyondTheTensor_Throws(long offset, int length)
    {
        await using var writer = await SafetensorsWriter.CreateAsync(Target, [new("a", DType.U8, new Shape(4)), new("b", DType.U8, new Shape(4))]);
        var exception = await Assert.ThrowsAnyAsync<ArgumentException>(async () => await writer.WriteAsync("a", offset, new byte[length]));
        Assert.Equal("offset", exception.ParamName);
    }

    [Fact]
    public async Task Write_TensorThatIsNotThere_NamesIt()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(Target, []);
        var exception = await Assert.ThrowsAsync<ArgumentException>(async () => await writer.WriteAsync("other", 0, new byte[1]));
        Assert.Contains("'other'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commit_OverAnOpenFile_LeavesItsReaderTheOldBytes()
    {
        File.Copy(_folder.Write("source", SafetensorsBuilder.Tiny()), Target);
        File.Delete(_folder["source"]);
        await using var old = await Checkpoint.OpenAsync(Target);
        await using (var writer = await SafetensorsWriter.CreateAsync(Target, [new("new", DType.U8, new Shape(1))]))
        {
            await writer.WriteAsync("new", 0, new byte[1]);
            await writer.CommitAsync();
        }

        var bytes = new byte[4];
        await old["a"].File.Source.ReadExactlyAsync(old["a"].Offset, bytes);
        Assert.Equal([0, 0, 128, 63], bytes);
        await using var replaced = await Checkpoint.OpenAsync(Target);
        Assert.Equal(["new"], replaced.Tensors.Select(tensor => tensor.Name));
    }

    private async Task<TException> CreateRefusedAsync<TException>(
        IEnumerable<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
        where TException : Exception
    {
        var exception = await Assert.ThrowsAsync<TException>(() => SafetensorsWriter.CreateAsync(Target, tensors, metadata));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        return exception;
    }
}
