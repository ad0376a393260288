using IlgpuLoader.Hosting.Tests.Http;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Xunit;
using Xunit.Abstractions;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>
/// The page in a browser, as people see and use it. The cases are in <c>Browser/cases</c>, in the language of the page; they share one browser, since its start takes longer than all of them.
/// </summary>
[Trait("Area", "Page")]
public sealed class PageTests(ITestOutputHelper output)
{
    private const string Folder = "tests/Hosting.Tests/Page/Browser";

    // What hangs is ended; the cases themselves take seconds.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(4);

    [BrowserFact(Folder)]
    public async Task Page_InChromium_PassesItsCases()
    {
        var model = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");
        await using var scripted = await ScriptedServer.StartAsync();
        await using var server = ModelServer.Create(
            new ModelServerOptions { Urls = "http://127.0.0.1:0", Device = "host", Paths = { model } },
            RunningServer.Environment($"Http__Token={RunningServer.Token}"),
            (services, section) => services.AddLogging(logging => logging.AddFilter<ConsoleLoggerProvider>(null, LogLevel.None)).AddIlgpuLoader(section));
        await server.StartAsync();
        using var end = new CancellationTokenSource(Longest);
        var (exitCode, report) = await SystemNode.TestAsync(
            Path.Combine(RepositoryPaths.Root, Folder, "page.test.js"),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["PAGE_ADDRESS"] = scripted.Address,
                ["SERVER_ADDRESS"] = server.Addresses[0],
                ["SERVER_TOKEN"] = RunningServer.Token,
                ["SERVER_MODEL"] = model,
                ["CHROMIUM"] = SystemChromium.Path,
            },
            end.Token);
        await server.WaitAsync(new CancellationToken(canceled: true));
        // How long each case took.
        output.WriteLine(report);

        Assert.True(exitCode == 0, report);
        // A runner that finds no case also ends with 0.
        Assert.Matches(@"(?m)^# pass [1-9]\d+$", report);
    }
}
