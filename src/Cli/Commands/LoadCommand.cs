using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Loads a checkpoint and says how long it took.</summary>
internal sealed class LoadCommand : CommandBase
{
    private static readonly Dictionary<string, DType?> DTypes = new(StringComparer.Ordinal)
    {
        ["keep"] = null,
        ["f32"] = DType.F32,
        ["f16"] = DType.F16,
        ["bf16"] = DType.BF16,
    };

    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<string> _device = DeviceOption.Create("Where the tensors go.");
    private readonly Option<string> _dtype = new("--dtype")
    {
        Description = "The dtype that floating tensors get; integers, BOOL and complex numbers are kept.",
        HelpName = "keep|f32|f16|bf16",
        DefaultValueFactory = _ => "keep",
    };

    private readonly Option<int?> _lanes = new("--lanes")
    {
        Description = "How many lanes read side by side; by default one a core, at most eight.",
        HelpName = "N",
    };

    private readonly Option<string?> _memory = new("--memory")
    {
        Description = "The most memory for staging, such as 64MiB; by default 256MiB.",
        HelpName = "SIZE",
    };

    private readonly Option<int> _repeat = new("--repeat")
    {
        Description = "Load this many times more, into the same memory.",
        HelpName = "N",
    };

    /// <inheritdoc/>
    public override string Name => "load";

    /// <inheritdoc/>
    protected override string Description => "Loads a whole checkpoint and prints tensors, bytes, seconds, GB/s and peak memory.";

    /// <inheritdoc/>
    public override string Example => "load models/llama --dtype f32 --repeat 3";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _dtype.AcceptOnlyFromAmong([.. DTypes.Keys]);
        command.Add(_path);
        command.Add(_device);
        command.Add(_dtype);
        command.Add(_lanes);
        command.Add(_memory);
        command.Add(_repeat);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var options = Options(parsed);
        var repeat = parsed.GetValue(_repeat);
        if (repeat < 0)
        {
            throw new UsageException($"--repeat takes a number from 0, not {repeat}.");
        }

        var started = Stopwatch.GetTimestamp();
        var checkpoint = await Checkpoint.OpenAsync(parsed.GetValue(_path)!, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            var opened = Stopwatch.GetElapsedTime(started);
            WriteWarnings(console, checkpoint.Warnings);
            var loader = new CheckpointLoader();
            var plan = MakePlan(loader, checkpoint, options);
            _checkpoint.WarnIfNothingChosen(console, plan.Tensors.Length, checkpoint.Tensors.Length);
            if (console.Verbose)
            {
                await console.Error.WriteLineAsync(plan.ToString()).ConfigureAwait(false);
            }

            var loads = new List<LoadStatistics>();
            var model = await ProgressDisplay
                .RunAsync(console, "loading", progress => loader.LoadAsync(plan, progress, cancellationToken)).ConfigureAwait(false);
            await using (model.ConfigureAwait(false))
            {
                loads.Add(model.Statistics);
                for (var i = 1; i <= repeat; i++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    loads.Add(await ProgressDisplay
                        .RunAsync(console, $"again {i}", progress => loader.LoadIntoAsync(plan, model, progress, cancellationToken))
                        .ConfigureAwait(false));
                }
            }

            Write(console, plan, parsed.GetValue(_dtype)!, opened, loads);
        }

        return ExitCodes.Success;
    }

    private LoadOptions Options(ParseResult parsed)
    {
        var choice = _checkpoint.Choice(parsed);
        var options = new LoadOptions
        {
            Device = DeviceOption.Open(parsed.GetValue(_device)!),
            DType = DTypes[parsed.GetValue(_dtype)!],
            Lanes = parsed.GetValue(_lanes),
            Include = choice.Include,
            Exclude = choice.Exclude,
        };
        if (parsed.GetValue(_memory) is not { } memory)
        {
            return options;
        }

        return Sizes.TryParse(memory, out var bytes)
            ? options with { StagingBytes = bytes }
            : throw new UsageException($"--memory takes a size such as 64MiB, not '{memory}'.");
    }

    // What the planner refuses among the options is what the user typed.
    private static LoadPlan MakePlan(CheckpointLoader loader, Checkpoint checkpoint, LoadOptions options)
    {
        try
        {
            return loader.Plan(checkpoint, options);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    private static void Write(CommandConsole console, LoadPlan plan, string dtype, TimeSpan opened, List<LoadStatistics> loads)
    {
        var peak = PeakMemory.Read();
        if (console.Json)
        {
            var document = new LoadDocument(
                plan.Checkpoint.Path,
                plan.Device.Id,
                dtype,
                plan.Tensors.Length,
                plan.BytesToRead,
                plan.DestinationBytes,
                plan.Staging.Lanes,
                plan.Staging.Bytes,
                opened.TotalSeconds,
                [.. loads.Select(load => new TimedLoad(
                    load.Elapsed.TotalSeconds,
                    load.ReadBytesPerSecond / 1e9,
                    PerLane(load.FirstTouch, load).TotalSeconds,
                    PerLane(load.Reading, load).TotalSeconds,
                    PerLane(load.Placing, load).TotalSeconds))],
                peak);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.LoadDocument);
            return;
        }

        console.Out.WriteLine(
            $"{Quoted.Plain(plan.Checkpoint.Path)}: {Sizes.Count(plan.Tensors.Length, "tensor")}, {Sizes.Format(plan.BytesToRead)} read, "
            + $"{Sizes.Format(plan.DestinationBytes)} on {plan.Device.Id}"
            + (dtype == "keep" ? " as stored" : $" as {dtype}")
            + $", {Sizes.Count(plan.Staging.Lanes, "lane")}");
        var table = new TextTable("lrrrrr");
        table.Add("", "seconds", "GB/s", "first touch s", "reads s", "placing s");
        for (var i = 0; i < loads.Count; i++)
        {
            var load = loads[i];
            table.Add(
                i == 0 ? "load" : $"again {i}",
                $"{load.Elapsed.TotalSeconds:0.000}",
                $"{load.ReadBytesPerSecond / 1e9:0.00}",
                $"{PerLane(load.FirstTouch, load).TotalSeconds:0.000}",
                $"{PerLane(load.Reading, load).TotalSeconds:0.000}",
                $"{PerLane(load.Placing, load).TotalSeconds:0.000}");
        }

        table.WriteTo(console.Out, "  ");
        console.Out.WriteLine($"opened in {opened.TotalSeconds:0.000} s, peak memory {Sizes.Format(peak)}");
    }

    // Lanes work side by side: the mean is the share of the time that passed.
    private static TimeSpan PerLane(TimeSpan sum, LoadStatistics load) => sum / load.Lanes;
}
