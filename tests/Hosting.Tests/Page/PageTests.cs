using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>
/// The page in a browser, as people see and use it. The cases are in <c>Browser/cases</c>, in the language of the page; they share one browser, since its start takes longer than all of them.
/// </summary>
[Trait("Area", "Page")]
public sealed class PageTests
{
    private const string Folder = "tests/Hosting.Tests/Page/Browser";

    // What hangs is ended; the cases themselves take seconds.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(4);

    [BrowserFact(Folder)]
    public async Task Page_InChromium_PassesItsCases()
    {
        await using var server = await ScriptedServer.StartAsync();
        using var end = new CancellationTokenSource(Longest);
        var (exitCode, report) = await SystemNode.TestAsync(
            Path.Combine(RepositoryPaths.Root, Folder, "page.test.js"),
            new Dictionary<string, string>(StringComparer.Ordinal) { ["PAGE_ADDRESS"] = server.Address, ["CHROMIUM"] = SystemChromium.Path },
            end.Token);

        Assert.True(exitCode == 0, report);
        // A runner that finds no case also ends with 0.
        Assert.Matches(@"(?m)^# pass [1-9]\d+$", report);
    }
}
