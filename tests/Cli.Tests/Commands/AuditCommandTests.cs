using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class AuditCommandTests
{
    [Fact]
    public async Task Every_path_is_audited_and_the_highest_exit_code_counts()
    {
        using var folder = new TemporaryFolder();
        var safe = folder.Write("safe.pt", GoldenArchive.Read("torch", "tied.zip.pt"));
        var unknown = folder.Write("unknown.pt", GoldenArchive.Read("torch", "wholemodule.zip.pt"));
        Assert.Equal(0, (await ToolRun.OfAsync("audit", safe)).ExitCode);
        Assert.Equal(4, (await ToolRun.OfAsync("audit", unknown, safe)).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("audit", unknown, safe, "--allow-unknown-globals")).ExitCode);
        Assert.Equal(3, (await ToolRun.OfAsync("audit", folder["none.pt"], safe)).ExitCode);
        var run = await ToolRun.OfAsync("audit", folder.Write("unsafe.pkl", "cos\nsystem\n."), folder["none.pt"], safe, "--allow-unknown-globals");
        Assert.Equal((4, ""), (run.ExitCode, run.Error));
        string[] verdicts = [.. run.Out.Split('\n').Where(line => line.Length > 0 && line[0] != ' ').Select(line => line.Split(' ')[0])];
        Assert.Equal(["unsafe", "unreadable", "safe"], verdicts);
    }

    [Fact]
    public async Task Thousands_of_globals_are_counted_and_all_in_the_document()
    {
        using var folder = new TemporaryFolder();
        var text = string.Concat(Enumerable.Range(0, 5000).Select(i => $"cm\nn{i}\n0")) + "cos\nsystem\n.";
        var path = folder.Write("many.pkl", Encoding.Latin1.GetBytes(text));
        var run = await ToolRun.OfAsync("audit", path);
        Assert.InRange(run.Out.Count(character => character == '\n'), 100, 110);
        // What is refused comes first, however late it is named.
        Assert.Matches("name\n    refused +1 +[0-9,]+  os.system\n", run.Out);
        Assert.Contains("and 4,901 more globals; --json has all\n", run.Out, StringComparison.Ordinal);
        var file = (await ToolRun.OfAsync("audit", path, "--json")).Document("ilgpu-loader/audit/1").GetProperty("files")[0];
        Assert.Equal(5001, file.GetProperty("pickles")[0].GetProperty("globals").GetArrayLength());
    }
}
