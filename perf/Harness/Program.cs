using System.Runtime.InteropServices;
using IlgpuLoader.Harness;

// dotnet run -c Release --project perf/Harness -- [scenario…] (see HarnessCommandLine.Usage)
if (args is [OpenScenario.OpenChild.Argument, var child])
{
    await OpenScenario.OpenChild.RunAsync(child);
    return 0;
}

IScenario[] scenarios =
[
    new OpenScenario(),
    new LoadScenario(),
    new GgufScenario(),
    new TorchScenario(),
    new NumpyScenario(),
    new ZeroCopyScenario(),
    new ColdScenario(),
    new SmallTensorsScenario(),
    new SliceScenario(),
    new CappedScenario(),
    new VerifyScenario(),
    new GpuScenario(),
    new ConvertScenario(),
    new TuningScenario(),
];
var (line, error) = HarnessCommandLine.Parse(args, [.. scenarios.Select(scenario => scenario.Name)]);
if (line is null)
{
    Console.Error.WriteLine(error);
    Console.Error.WriteLine(HarnessCommandLine.Usage);
    return 2;
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
    // Read before anything is overwritten: it may be the file that this run writes.
    var old = options.Compare is { } before ? ReportDocument.Read(await File.ReadAllTextAsync(before, stop.Token)) : null;
    HarnessReport report;
    if (line.From is { } from)
    {
        report = ReportDocument.Read(await File.ReadAllTextAsync(from, stop.Token));
    }
    else
    {
        var command = "dotnet run -c Release --project perf/Harness" + (args.Length > 0 ? " -- " + string.Join(' ', args) : "");
        var chosen = line.Scenarios.Count > 0 ? scenarios.Where(scenario => line.Scenarios.Contains(scenario.Name)) : scenarios.Where(scenario => scenario.IsDefault);
        report = await HarnessRun.MeasureAsync(options, command, [.. chosen], stop.Token);
        ReportFiles.Write(options.OutputFolder ?? Path.Combine(ToolProcess.Root, "perf", "results"), report);
    }

    TerminalReport.Write(Console.Out, report);
    if (options.Readme is { } readme)
    {
        await File.WriteAllTextAsync(
            readme, ReadmeTable.Replace(await File.ReadAllTextAsync(readme, stop.Token), MarkdownReport.WriteTable(report)), stop.Token);
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
