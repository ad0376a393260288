using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>A file that may not be replaced is kept, whenever it comes and whatever the system can do.</summary>
public sealed class OverwriteTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Create_OverAFileThatMayNotBeReplaced_IsRefusedAndKeepsIt()
    {
        _folder.Write("f", "old");
        foreach (var refused in (Func<Task>[])
        [
            () => Task.FromResult(AtomicFile.Create(_folder["f"], overwrite: false)),
            () => AtomicFile.WriteAllBytesAsync(_folder["f"], new byte[1], overwrite: false),
            () => SafetensorsWriter.CreateAsync(_folder["f"], [], overwrite: false),
        ])
        {
            var exception = await Assert.ThrowsAsync<IOException>(refused);
            Assert.Equal(
                $"{_folder["f"]}: this already exists and would be replaced; choose another name, or allow it (--force).", exception.Message);
        }

        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, true, true)]
    [InlineData(true, false, false)]
    [InlineData(true, false, true)]
    public async Task Commit_WithNothingThere_GivesTheName(bool named, bool refuseLink, bool refuseMove)
    {
        var calls = new RecordingCalls { RefuseUnnamed = named, RefuseLink = refuseLink, RefuseMoveNew = refuseMove };
        await AtomicFileOf("new", calls);
        Assert.Equal("new", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(true, false, true)]
    public async Task Commit_OverAFileThatCameMeanwhile_IsRefusedAndKeepsIt(bool named, bool refuseLink, bool refuseMove)
    {
        // In the very last moment, after every look at the name.
        var calls = new RecordingCalls
        {
            RefuseUnnamed = named,
            RefuseLink = refuseLink,
            RefuseMoveNew = refuseMove,
            BeforeName = () => _folder.Write("f", "theirs"),
        };
        var exception = await Assert.ThrowsAsync<IOException>(() => AtomicFileOf("new", calls));
        Assert.StartsWith($"{_folder["f"]}: this already exists", exception.Message, StringComparison.Ordinal);
        Assert.Equal("theirs", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Fact]
    public async Task Commit_OfTwoThatMayNotReplace_LeavesTheFirst()
    {
        await using var first = AtomicFile.Create(_folder["f"], overwrite: false);
        await using var second = AtomicFile.Create(_folder["f"], overwrite: false);
        first.Write(0, "first"u8);
        second.Write(0, "second"u8);
        await first.CommitAsync();
        await Assert.ThrowsAsync<IOException>(async () => await second.CommitAsync());
        Assert.Equal("first", File.ReadAllText(_folder["f"]));
    }

    [Fact]
    public async Task Writer_OfSafetensors_ReplacesUnlessToldOtherwise()
    {
        _folder.Write("f", "old");
        await using (var writer = await SafetensorsWriter.CreateAsync(_folder["f"], []))
        {
            await writer.CommitAsync();
        }

        Assert.NotEqual("old", File.ReadAllText(_folder["f"]));
    }

    private async Task AtomicFileOf(string text, RecordingCalls calls)
    {
        await using var file = AtomicFile.Create(_folder["f"], 0, calls, overwrite: false);
        file.Write(0, System.Text.Encoding.UTF8.GetBytes(text));
        await file.CommitAsync();
    }

    private string[] Entries() => Directory.GetFileSystemEntries(_folder.Path);
}
