using System.Runtime.InteropServices;
using IlgpuLoader.Harness;

// dotnet run -c Release --project perf/Harness -- [scenario…] (see HarnessCommandLine.Usage)
if (args is [OpenScenario.OpenChild.Argument, var child])
{
    await OpenScenario.OpenChild.RunAsync(child);
    return 0;
}

if (args is [LoadChild.Argument, .. var load])
{
    await LoadChild.RunAsync(load);
    return 0;
}

if (args is [ReloadChild.Argument, var reloaded])
{
    await ReloadChild.RunAsync(reloaded);
    return 0;
}

if (args is [TrafficChild.Argument, .. var traffic])
{
    await TrafficChild.RunAsync(traffic);
    return 0;
}

if (args is [RangeProcess.Argument, .. var ranges])
{
    await RangeProcess.RunAsync(ranges);
    return 0;
}

var scenarios = AllScenarios.List;
var (line, error) = HarnessCommandLine.Parse(args, [.. scenarios.Select(scenario => scenario.Name)]);
if (line is null)
{
    Console.Error.WriteLine(error);
    Console.Error.WriteLine(HarnessCommandLine.Usage);
    return 2;
}

if (line.Help)
{
    Console.WriteLine(HarnessCommandLine.Usage);
    return 0;
}

if (line.List)
{
    foreach (var scenario in scenarios)
    {
        Console.WriteLine($"{scenario.Name,-10} {scenario.Description}{(scenario.IsDefault ? "" : " (only where it is named)")}");
    }

    return 0;
}

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
{
    // The first asks, the second ends the process.
    context.Cancel = !stop.IsCancellationRequested;
    stop.Cancel();
});
try
{
    var options = line.Options with { Log = Console.Error };
    // Read before anything is overwritten: it may be the file that this run writes. And minutes are not measured for a file that will not do.
    var old = options.Compare is { } before ? await ReportFiles.ReadAsync(before, stop.Token) : null;
    if (options.Readme is { } checkedReadme)
    {
        await ReadmeTable.ReplaceAsync(checkedReadme, null, stop.Token);
    }

    HarnessReport report;
    if (line.From is { } from)
    {
        report = await ReportFiles.ReadAsync(from, stop.Token);
        if (options.OutputFolder is { } folder)
        {
            ReportFiles.WriteText(folder, report);
            Console.Error.WriteLine($"wrote {Path.Combine(folder, "perf.md")} and a chart for each scenario");
        }
    }
    else
    {
        var command = "dotnet run -c Release --project perf/Harness" + (args.Length > 0 ? " -- " + string.Join(' ', args) : "");
        IScenario[] chosen = [.. scenarios.Where(scenario => line.Scenarios.Count > 0 ? line.Scenarios.Contains(scenario.Name) : scenario.IsDefault)];
        options.Log.WriteLine(DataSpace.Check(options, chosen));
        report = await HarnessRun.MeasureAsync(options, command, chosen, stop.Token);
        var folder = options.OutputFolder ?? Path.Combine(ToolProcess.Root, "perf", "results");
        ReportFiles.Write(folder, report);
        Console.Error.WriteLine($"wrote {Path.Combine(folder, "perf.json")}, perf.md and a chart for each scenario");
    }

    TerminalReport.Write(Console.Out, report);
    if (options.Readme is { } readme)
    {
        await ReadmeTable.ReplaceAsync(readme, MarkdownReport.WriteTable(report), stop.Token);
        Console.Error.WriteLine($"wrote the table of {readme}");
    }

    if (old is null)
    {
        return 0;
    }

    var changes = ReportComparison.Compare(old, report);
    Console.WriteLine();
    ReportComparison.Write(Console.Out, changes);
    return changes.Any(change => change.IsRegression) ? 1 : 0;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("cancelled");
    return 130;
}
catch (UnusableFileException exception)
{
    Console.Error.WriteLine(exception.Message.ReplaceLineEndings(" "));
    return 2;
}
