using System.Globalization;

namespace IlgpuLoader.Harness;

/// <summary>The harness's command line, read.</summary>
/// <param name="Options">What is measured.</param>
/// <param name="Scenarios">The scenarios that were named; empty for those that run by default.</param>
/// <param name="List">Whether only the scenarios are listed.</param>
/// <param name="Help">Whether only the usage is shown.</param>
/// <param name="From">A report that is read instead of measuring; null to measure.</param>
internal sealed record HarnessCommandLine(HarnessOptions Options, IReadOnlyList<string> Scenarios, bool List, bool Help, string? From)
{
    /// <summary>How it is used.</summary>
    public const string Usage =
        """
        usage: Harness [scenario…|all] [--rounds N] [--mib N] [--data DIR] [--out DIR] [--compare OLD.json] [--readme FILE] [--from NEW.json] [--list] [--help]
          --rounds N   interleaved rounds; 11 by default
          --mib N      the size of the checkpoints that are loaded; 1024 by default
          --data DIR   where they are kept between runs
          --out DIR    where perf.json, perf.md and a chart for each scenario go; perf/results by default
          --compare F  also compare ratios with those of an earlier perf.json; exit code 1 where one fell by more than 5 % and out of its range,
                       where memory or bytes read grew by more than 5 %, and where what was measured then is not any more
          --readme F   also write the table between <!-- perf:begin --> and <!-- perf:end --> of a Markdown file
          --from F     measure nothing: take the figures of a perf.json; with --out, write its Markdown and charts there
        """;

    /// <summary>Reads a command line.</summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="known">The names of the scenarios.</param>
    /// <returns>What was asked for, or why it cannot be read.</returns>
    public static (HarnessCommandLine? Line, string? Error) Parse(IReadOnlyList<string> arguments, IReadOnlyCollection<string> known)
    {
        var line = new HarnessCommandLine(new HarnessOptions(), [], List: false, Help: false, From: null);
        for (var i = 0; i < arguments.Count; i++)
        {
            var argument = arguments[i];
            if (argument == "--list")
            {
                line = line with { List = true };
            }
            else if (argument is "--help" or "-h")
            {
                line = line with { Help = true };
            }
            else if (argument == "all")
            {
                line = line with { Scenarios = [.. known] };
            }
            else if (known.Contains(argument))
            {
                line = line with { Scenarios = [.. line.Scenarios.Append(argument).Distinct()] };
            }
            else if (!argument.StartsWith("--", StringComparison.Ordinal))
            {
                return (null, $"There is no scenario '{argument}'; there are {string.Join(", ", known)} and all.");
            }
            else if (i + 1 == arguments.Count)
            {
                return (null, $"{argument} needs a value, or is no option.");
            }
            else if (With(line, argument, arguments[++i]) is { } next)
            {
                line = next;
            }
            else
            {
                return (null, $"'{argument} {arguments[i]}' cannot be read.");
            }
        }

        return (line, null);
    }

    private static HarnessCommandLine? With(HarnessCommandLine line, string option, string value)
    {
        var options = line.Options;
        return option switch
        {
            "--rounds" when Number(value) is { } rounds => line with { Options = options with { Rounds = rounds } },
            "--mib" when Number(value) is { } mebibytes => line with { Options = options with { Mebibytes = mebibytes } },
            "--data" => line with { Options = options with { DataFolder = value } },
            "--out" => line with { Options = options with { OutputFolder = value } },
            "--compare" => line with { Options = options with { Compare = value } },
            "--readme" => line with { Options = options with { Readme = value } },
            "--from" => line with { From = value },
            _ => null,
        };
    }

    private static int? Number(string value) => int.TryParse(value, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : null;
}
