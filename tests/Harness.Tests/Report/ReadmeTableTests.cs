using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReadmeTableTests
{
    [Fact]
    public void Only_what_is_between_the_marks_changes()
    {
        const string before = "# Title\n<!-- perf:begin -->\nold\n\n<!-- perf:end -->\nrest\n";
        var after = ReadmeTable.Replace(before, "new\n\n");
        Assert.Equal("# Title\n<!-- perf:begin -->\nnew\n<!-- perf:end -->\nrest\n", after);
        Assert.Equal(after, ReadmeTable.Replace(after, "new"));
    }

    [Fact]
    public async Task A_file_is_tried_without_being_written()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["a.md"], "<!-- perf:begin -->old<!-- perf:end -->");
        await ReadmeTable.ReplaceAsync(folder["a.md"], null, CancellationToken.None);
        Assert.Contains("old", await File.ReadAllTextAsync(folder["a.md"]), StringComparison.Ordinal);
        await ReadmeTable.ReplaceAsync(folder["a.md"], "new", CancellationToken.None);
        Assert.Contains("\nnew\n", await File.ReadAllTextAsync(folder["a.md"]), StringComparison.Ordinal);
        await File.WriteAllTextAsync(folder["a.md"], "no marks");
        await Assert.ThrowsAsync<UnusableFileException>(() => ReadmeTable.ReplaceAsync(folder["a.md"], null, CancellationToken.None));
        await Assert.ThrowsAsync<UnusableFileException>(() => ReadmeTable.ReplaceAsync(folder["none.md"], null, CancellationToken.None));
    }

    [Theory]
    [InlineData("no marks")]
    [InlineData("<!-- perf:begin -->")]
    [InlineData("<!-- perf:end --><!-- perf:begin -->")]
    [InlineData("<!-- perf:begin --><!-- perf:begin --><!-- perf:end -->")]
    [InlineData("<!-- perf:begin --><!-- perf:end --><!-- perf:end -->")]
    public void A_file_without_both_marks_is_left_alone(string text) =>
        Assert.Throws<InvalidDataException>(() => ReadmeTable.Replace(text, "table"));
}
