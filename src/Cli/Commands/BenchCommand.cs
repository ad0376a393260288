using System.CommandLine;
using System.Globalization;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Measures how fast a checkpoint loads, beside what the machine can do by itself.</summary>
internal sealed class BenchCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly CheckpointArguments _checkpoint = new(RemoteAccess.Cache);
    private readonly Option<string> _device = DeviceOption.Create("Where the tensors go.");
    private readonly Option<int?> _lanes = LanesOption.Create();
    private readonly Option<string?> _memory = StagingOption.Create();
    private readonly Option<string> _read = ReadModeOption.Create();
    private readonly Option<int> _rounds = new("--rounds")
    {
        Description = "How often everything is measured, in turn with what it is held against.",
        HelpName = "N",
        DefaultValueFactory = _ => CheckpointBenchmarkOptions.DefaultRounds,
    };

    private readonly Option<string[]> _dtypes = new("--dtype")
    {
        Description = $"What floating tensors are converted to, each measured by itself; by default f32 and bf16. Of {string.Join(", ", Codecs.Targets.Select(DTypeOption.NameOf))}.",
        HelpName = "DTYPE",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<bool> _cold = new("--cold")
    {
        Description = "Also load from files that are not in the page cache: they are dropped from it before each read.",
    };

    /// <inheritdoc/>
    public override string Name => "bench";

    /// <inheritdoc/>
    protected override string Description =>
        "Measures opening and loading a checkpoint, in turn with plain reads of the same files and what else the machine can do by itself. Peers, slices and small tensors are in perf/Harness only.";

    /// <inheritdoc/>
    public override string Example => "bench models/llama --rounds 11 --cold";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_rounds);
        command.Add(_device);
        _dtypes.AcceptOnlyFromAmong([.. Codecs.Targets.Select(DTypeOption.NameOf)]);
        command.Add(_dtypes);
        command.Add(_read);
        command.Add(_lanes);
        command.Add(_memory);
        command.Add(_cold);
        _checkpoint.AddTo(command);
        _checkpoint.Remote.AddStreamTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var options = Options(parsed, console);
        CheckpointBenchmarkReport report;
        try
        {
            report = await CheckpointBenchmark
                .RunAsync(parsed.GetValue(_path)!, options, new Steps(console), cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }

        var readMode = parsed.GetValue(_read)!;
        if (console.Json)
        {
            JsonOutput.Write(console.Out, BenchDocuments.Of(report, readMode), CliJsonContext.Default.BenchDocument);
        }
        else
        {
            Write(console.Out, report, readMode);
        }

        return ExitCodes.Success;
    }

    private CheckpointBenchmarkOptions Options(ParseResult parsed, CommandConsole console)
    {
        var rounds = parsed.GetValue(_rounds);
        if (rounds < 1)
        {
            throw new UsageException($"{_rounds.Name} takes a number from 1, not {rounds}.");
        }

        var choice = _checkpoint.Choice(parsed);
        var load = new LoadOptions
        {
            Device = DeviceOption.OpenForValues(console, parsed.GetValue(_device)!, "load"),
            Lanes = parsed.GetValue(_lanes),
            StagingBytes = StagingOption.Parse(parsed.GetValue(_memory)) ?? LoadOptions.DefaultStagingBytes,
            ReadMode = ReadModeOption.Parse(parsed.GetValue(_read)!),
            Include = choice.Include,
            Exclude = choice.Exclude,
        };
        var options = new CheckpointBenchmarkOptions
        {
            Rounds = rounds,
            Checkpoint = _checkpoint.Options(parsed),
            Load = load,
            Cold = parsed.GetValue(_cold),
        };
        return parsed.GetValue(_dtypes) is { Length: > 0 } dtypes
            ? options with { DTypes = [.. dtypes.Select(name => DTypeOption.Parse(name)!.Value)] }
            : options;
    }

    private static void Write(TextWriter output, CheckpointBenchmarkReport report, string readMode)
    {
        output.WriteLine(
            $"{Quoted.Plain(report.Path)}: {Quoted.Plain(report.Format)}, {Sizes.Count(report.Tensors, "tensor")}, {Sizes.Format(report.BytesRead)} read to {report.Device}, "
            + $"{Sizes.Count(report.Lanes, "lane")}, {Sizes.Format(report.StagingBytes)} for staging, read mode {readMode}, {Sizes.Count(report.Rounds, "round")}");
        output.WriteLine(report.Machine);
        output.WriteLine(report.IsYardstickBounded
            ? $"plain reads go into {Sizes.Format(report.YardstickBytes)} of memory, used in turn"
            : "plain reads go into memory of the files' size");
        if (!report.AreFilesCached)
        {
            output.WriteLine("the files do not stay in the page cache: what is not cold comes from the disk too, and plain reads past the cache are among the limits");
        }

        if (report.BytesRead is > 0 and < Measurement.LeastBytesOfSpeed)
        {
            output.WriteLine($"less than {Sizes.Format(Measurement.LeastBytesOfSpeed)} is read: no speeds, and nothing to hold loads against");
        }

        output.WriteLine("figures are medians, with the least and the greatest; ratios above 1 are faster than what they are held against");
        var table = new TextTable("llrlrr");
        table.Add("", "read", "figure", "held against", "its figure", "ratio");
        foreach (var limit in report.Limits)
        {
            AddTo(table, limit, "limit: ");
        }

        foreach (var row in report.Rows)
        {
            AddTo(table, row, "");
        }

        table.WriteTo(output, "  ");
        foreach (var row in report.Rows.Where(row => row.Skipped is not null))
        {
            output.WriteLine($"left out: {row.Name}: {Quoted.Plain(row.Skipped!)}");
        }
    }

    private static void AddTo(TextTable table, Measurement row, string prefix)
    {
        if (row.Statistic is not { } figure)
        {
            return;
        }

        var budget = row.Budget is { } most ? ("at most " + row.FormatBudget(), "", (most / figure.Median).ToString("0.00", CultureInfo.InvariantCulture)) : ("", "", "");
        var first = row.Comparisons.FirstOrDefault(comparison => comparison.Skipped is null);
        var (against, other, ratio) = first is null ? budget : (first.Name, row.Format(first.Other!.Value), first.Ratio!.Value.ToString("0.00"));
        table.Add(prefix + row.Name, row.ReadMode ?? "", row.Format(figure), against, other, ratio);
        foreach (var comparison in row.Comparisons.Where(comparison => comparison.Skipped is null).Skip(1))
        {
            table.Add("", "", "", comparison.Name, row.Format(comparison.Other!.Value), comparison.Ratio!.Value.ToString("0.00"));
        }
    }

    // A line a step: a bar that is redrawn would take its part of the time that is measured.
    private sealed class Steps(CommandConsole console) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value)
        {
            if (console.ShowProgress && !console.Quiet && !console.Json)
            {
                console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{value.Done + 1}/{value.Total} {value.Step}"));
            }
        }
    }
}
