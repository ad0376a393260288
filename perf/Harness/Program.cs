using System.Globalization;
using IlgpuLoader.Harness;

// dotnet run -c Release --project perf/Harness -- [scenario…] [--rounds N] [--gib N] [--data FOLDER] [--out FILE]
if (args is [OpenScenario.OpenChild.Argument, var child])
{
    await OpenScenario.OpenChild.RunAsync(child);
    return 0;
}

IScenario[] scenarios = [new OpenScenario(), new LoadScenario(), new VerifyScenario(), new ConvertScenario(), new TorchScenario()];
var options = new HarnessOptions(Path.Combine(Path.GetTempPath(), "ilgpu-loader-perf"), Rounds: 11, Gibibytes: 4, Console.Error);
string? outputPath = null;
var chosen = new List<IScenario>();
for (var i = 0; i < args.Length; i++)
{
    var value = i + 1 < args.Length ? args[i + 1] : null;
    switch (args[i])
    {
        case "--rounds" when int.TryParse(value, CultureInfo.InvariantCulture, out var rounds) && rounds > 0:
            options = options with { Rounds = rounds };
            i++;
            break;
        case "--gib" when int.TryParse(value, CultureInfo.InvariantCulture, out var gibibytes) && gibibytes > 0:
            options = options with { Gibibytes = gibibytes };
            i++;
            break;
        case "--data" when value is not null:
            options = options with { DataFolder = value };
            i++;
            break;
        case "--out" when value is not null:
            outputPath = value;
            i++;
            break;
        case var name when Array.Find(scenarios, scenario => scenario.Name == name) is { } scenario:
            chosen.Add(scenario);
            break;
        default:
            Console.Error.WriteLine("usage: Harness [scenario…] [--rounds N] [--gib N] [--data FOLDER] [--out FILE]");
            foreach (var scenario in scenarios)
            {
                Console.Error.WriteLine($"  {scenario.Name}: {scenario.Description}");
            }

            return 2;
    }
}

var rows = new List<Row>();
foreach (var scenario in chosen.Count > 0 ? chosen : [.. scenarios])
{
    rows.AddRange(await scenario.RunAsync(options, CancellationToken.None));
}

var command = "dotnet run -c Release --project perf/Harness" + (args.Length > 0 ? " -- " + string.Join(' ', args) : "");
ReportWriter.Write(Console.Out, command, rows);
if (outputPath is not null)
{
    using var file = new StreamWriter(outputPath);
    ReportWriter.Write(file, command, rows);
}

return 0;
