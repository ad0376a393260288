using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class FileMappingTests : IDisposable
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 20_000).Select(i => (byte)(i * 31 / 7))];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Map_AnyRange_HasTheFilesBytesAndOutlivesTheSource()
    {
        var source = new LocalFileSource(_folder.Write("f", Content));
        var mapping = source.Map();
        Assert.Equal((_folder["f"], 20_000L, 1), (mapping.Name, mapping.Length, source.LiveMappings));
        mapping.Populate(4090, 100);
        mapping.Forget(0, 20_000);
        await source.DisposeAsync();
        foreach (var (offset, length) in new[] { (0, 20_000), (1, 19_999), (4095, 4098), (19_999, 1), (20_000, 0) })
        {
            Assert.Equal(Content[offset..(offset + length)], mapping.AsSpan(offset, length).ToArray());
        }

        mapping.Dispose();
        Assert.Equal((true, 0), (mapping.IsUnmapped, source.LiveMappings));
    }

    [Fact]
    public async Task Dispose_TheLastReference_UnmapsAndNoneComesBack()
    {
        await using var source = new LocalFileSource(_folder.Write("f", Content));
        var mapping = source.Map();
        mapping.AddReference();
        mapping.Dispose();
        Assert.Equal(Content[5], mapping.AsSpan(5, 1)[0]);
        Assert.Equal(1, source.LiveMappings);
        mapping.Dispose();
        Assert.Equal(0, source.LiveMappings);
        Assert.Throws<ObjectDisposedException>(mapping.AddReference);
        Assert.Throws<ObjectDisposedException>(mapping.Dispose);
        Assert.Throws<ObjectDisposedException>(() => mapping.AsSpan(0, 1).Length);
        Assert.Throws<ObjectDisposedException>(() => mapping.Populate(0, 1));
        Assert.Throws<ObjectDisposedException>(() => mapping.Forget(0, 1));
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(0, 20_001)]
    [InlineData(20_001, 0)]
    [InlineData(long.MaxValue, 1)]
    public async Task AsSpan_RangeThatIsNotInTheFile_Throws(long offset, int length)
    {
        await using var source = new LocalFileSource(_folder.Write("f", Content));
        using var mapping = source.Map();
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.AsSpan(offset, length).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.AddressOf(offset, length));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Populate(offset, length));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Forget(offset, length));
    }

    [Fact]
    public async Task Map_EmptyFile_HasNoBytes()
    {
        await using var source = new LocalFileSource(_folder.Write("empty", []));
        Assert.Null(source.FindFileRange(0, 0));
        using (var mapping = source.Map())
        {
            mapping.Populate(0, 0);
            mapping.Forget(0, 0);
            Assert.Equal((0L, 0, 1), (mapping.Length, mapping.AsSpan(0, 0).Length, source.LiveMappings));
        }

        Assert.Equal(0, source.LiveMappings);
    }

    [Theory]
    [InlineData(19_999)]
    [InlineData(20_001)]
    public async Task Map_FileOfAnotherLengthThanWhenItWasOpened_Throws(int length)
    {
        await using var source = new LocalFileSource(_folder.Write("f", Content));
        SetLength(_folder["f"], length);
        var error = Assert.Throws<InvalidCheckpointException>(source.Map);
        Assert.Equal((CheckpointErrorCode.FileChanged, _folder["f"], 0), (error.Code, error.File, source.LiveMappings));
        Assert.Contains("had 20000 bytes", error.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Map_FileThatAnotherWasRenamedOver_IsTheOneThatWasOpened()
    {
        await using var source = new LocalFileSource(_folder.Write("f", Content));
        File.Move(_folder.Write("other", new byte[10]), _folder["f"], overwrite: true);
        using var mapping = source.Map();
        File.Delete(_folder["f"]);
        Assert.Equal(Content, mapping.AsSpan(0, Content.Length).ToArray());
        await source.EnsureUnchangedAsync();
    }

    [LinuxFact]
    public async Task Populate_PageBehindTheEndOfAFileThatWasCut_Throws()
    {
        await using var source = new LocalFileSource(_folder.Write("f", Content));
        using var mapping = source.Map();
        SetLength(_folder["f"], 5000);
        var error = Assert.Throws<InvalidCheckpointException>(() => mapping.Populate(10_000, 1));
        Assert.Equal((CheckpointErrorCode.FileChanged, _folder["f"]), (error.Code, error.File));
    }

    [LinuxFact]
    public async Task Map_UnderALimitOfOpenFiles_NeedsNone()
    {
        var limit = new OpenFileLimit(1);
        await using var first = new LocalFileSource(_folder.Write("first", Content), limit);
        using var mapping = first.Map();
        await using var second = new LocalFileSource(_folder.Write("second", [1, 2, 3]), limit);
        using var other = second.Map();
        Assert.Equal([_folder["second"]], OpenFiles.Below(_folder.Path));
        Assert.Equal(Content, mapping.AsSpan(0, Content.Length).ToArray());
        using var again = first.Map();
        Assert.Equal(2, first.LiveMappings);
    }

    [Fact]
    public async Task FindFileRange_OfWhatIsPutOverAFile_IsThatOfItsOwnBytesAlone()
    {
        var file = new LocalFileSource(_folder.Write("f", Content));
        var section = new LocalFileSource(_folder.Write("section", new byte[50]));
        await using var appended = AppendedSource.Over(
            file, [new MemorySource(new byte[30]), BorrowedSource.Of(section)]);
        await using var turned = ByteOrderSource.Over(appended, [new SwappedRange(100, 40, 4, [new SwappedField(0, 4)])]);
        var source = BorrowedSource.Of(turned);
        (long Offset, long Length, FileRange? Expected)[] cases =
        [
            (0, 100, new FileRange(file, 0)),
            (3, 97, new FileRange(file, 3)),
            (3, 98, null), // the first number that is turned round
            (139, 1, null),
            (140, 19_860, new FileRange(file, 140)),
            (140, 19_861, null), // into the memory behind the file
            (20_000, 30, null),
            (20_030, 50, new FileRange(section, 0)),
            (20_031, 50, null),
            (20_040, 40, new FileRange(section, 10)),
            (50, 0, null),
        ];
        Assert.All(cases, one => Assert.Equal(one.Expected, source.FindFileRange(one.Offset, one.Length)));
        Assert.Null(new MemorySource(Content).FindFileRange(0, 1));
        await section.DisposeAsync();
    }

    private static void SetLength(string path, long length)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        stream.SetLength(length);
    }
}
