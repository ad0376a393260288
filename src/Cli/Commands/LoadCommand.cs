using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Loads a checkpoint and says how long it took.</summary>
internal sealed partial class LoadCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly CheckpointArguments _checkpoint = new(RemoteAccess.Cache);
    private readonly LoadArguments _load = new();
    private readonly ModelArguments _model = new("Load the share of one of N tensor-parallel ranks.", asksLauncher: true);
    private readonly Option<string?> _verify = new Option<string?>("--verify")
    {
        Description = "Hash every tensor while it is read, and fail with exit code 6 where one is not what this manifest says ('hash --write').",
        HelpName = "MANIFEST",
    }.LocalOnly();

    private readonly Option<int> _repeat = new("--repeat")
    {
        Description = "Load this many times more, into the same memory; anew where tensors are views of mapped files.",
        HelpName = "N",
    };

    private readonly Option<bool> _checkFinite = new("--check-finite")
    {
        Description = "After the load look at every value where it is, and fail with exit code 4 where one is NaN or infinite: stored so, or made so by a narrow --dtype.",
    };

    /// <inheritdoc/>
    public override string Name => "load";

    /// <inheritdoc/>
    protected override string Description => "Loads a whole checkpoint, a rank's share of it, or a model's parameters in its architecture's layout, and prints tensors, bytes, seconds, GB/s and peak memory.";

    /// <inheritdoc/>
    public override string Example => "load models/llama --dtype f32 --repeat 3";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        _load.AddTo(command);
        command.Add(_verify);
        command.Add(_repeat);
        command.Add(_checkFinite);
        command.Add(_sharded);
        command.Add(_reshard);
        command.Add(_pattern);
        command.Add(_noVerify);
        _model.AddTo(command);
        _checkpoint.AddTo(command);
        _checkpoint.Remote.AddStreamTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        _model.Check(parsed, knowsWorld: parsed.GetValue(_sharded));
        if (parsed.GetValue(_sharded))
        {
            return await LoadShardedAsync(parsed, console, cancellationToken).ConfigureAwait(false);
        }

        if (parsed.GetValue(_reshard) || parsed.GetValue(_noVerify) || parsed.GetValue(_pattern) is not null)
        {
            throw new UsageException("--reshard, --no-verify and --pattern are for the state of a rank: give --sharded too.");
        }

        if (_model.IsAsked(parsed))
        {
            return await LoadModelAsync(parsed, console, cancellationToken).ConfigureAwait(false);
        }

        var options = _load.Options(parsed, console, _checkpoint.Choice(parsed)) with { TensorParallel = _model.Parallel(parsed) };
        var checksFinite = parsed.GetValue(_checkFinite);
        if (checksFinite)
        {
            DeviceOption.WithValues(options.Device, "check");
        }

        var repeat = parsed.GetValue(_repeat);
        if (repeat < 0)
        {
            throw new UsageException($"--repeat takes a number from 0, not {repeat}.");
        }

        if (parsed.GetValue(_verify) is { } manifest)
        {
            options = options with { Manifest = await TensorManifest.ReadAsync(manifest, cancellationToken).ConfigureAwait(false) };
        }

        var started = Stopwatch.GetTimestamp();
        var checkpoint = await _load
            .OpenAsync(parsed, console, parsed.GetValue(_path)!, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            var opened = Stopwatch.GetElapsedTime(started);
            WriteWarnings(console, checkpoint.Warnings);
            var loader = new CheckpointLoader();
            var plan = LoadArguments.MakePlan(checkpoint, options);
            _checkpoint.WarnIfNothingChosen(console, plan.Tensors.Length, checkpoint.Tensors.Length);
            _load.WarnIfLanesDoNotFit(console, plan);
            _model.WarnIfNothingIsSplit(console, plan);
            if (console.Verbose)
            {
                new PlanReport(plan, _load.DType(parsed), ranks: null).WriteTo(console.Error, _load.Become(parsed));
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
                        .RunAsync(console, $"again {i}", progress => LoadAgainAsync(loader, plan, model, progress, cancellationToken))
                        .ConfigureAwait(false));
                }

                if (checksFinite)
                {
                    await CheckFiniteAsync(model, console, cancellationToken).ConfigureAwait(false);
                }
            }

            Write(parsed, console, plan, opened, loads);
        }

        return ExitCodes.Success;
    }

    // There is no memory to load into where tensors are views of mapped files: the files are mapped once more.
    private static async Task<LoadStatistics> LoadAgainAsync(
        CheckpointLoader loader, LoadPlan plan, LoadedModel model, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        if (plan.MappedCount == 0)
        {
            return await loader.LoadIntoAsync(plan, model, progress, cancellationToken).ConfigureAwait(false);
        }

        using var again = await loader.LoadAsync(plan, progress, cancellationToken).ConfigureAwait(false);
        return again.Statistics;
    }

    private static Task<bool> CheckFiniteAsync(LoadedModel model, CommandConsole console, CancellationToken cancellationToken) =>
        ProgressDisplay.RunAsync(
            console,
            "values",
            async progress =>
            {
                await FiniteValues.EnsureAsync(model, progress, cancellationToken).ConfigureAwait(false);
                return true;
            });

    private void Write(ParseResult parsed, CommandConsole console, LoadPlan plan, TimeSpan opened, List<LoadStatistics> loads)
    {
        var peak = PeakMemory.Read();
        var verifies = plan.Options.Manifest is not null;
        if (console.Json)
        {
            var document = new LoadDocument(
                plan.Checkpoint.Path,
                plan.Device.Id,
                _load.DType(parsed),
                plan.Tensors.Length,
                plan.BytesToRead,
                plan.DestinationBytes,
                plan.Staging.Lanes,
                plan.Staging.Bytes,
                verifies ? plan.Tensors.Length : null,
                parsed.GetValue(_checkFinite) ? plan.Tensors.Length : null,
                opened.TotalSeconds,
                [.. loads.Select(load => new TimedLoad(
                    load.Elapsed.TotalSeconds,
                    load.ReadBytesPerSecond / 1e9,
                    PerLane(load.FirstTouch, load).TotalSeconds,
                    PerLane(load.Reading, load).TotalSeconds,
                    verifies ? PerLane(load.Hashing, load).TotalSeconds : null,
                    PerLane(load.Placing, load).TotalSeconds,
                    load.ReadMode))],
                peak,
                plan.MappedCount > 0 ? plan.MappedBytes : null);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.LoadDocument);
            return;
        }

        var mapped = plan.MappedCount > 0 ? $"{Sizes.Format(plan.MappedBytes)} mapped, " : "";
        console.Out.WriteLine(
            $"{Quoted.Plain(plan.Checkpoint.Path)}: {Sizes.Count(plan.Tensors.Length, "tensor")}, {mapped}{Sizes.Format(plan.BytesToRead)} read{(plan.BytesToRead > 0 ? $" ({loads[0].ReadMode})" : "")}, "
            + $"{Sizes.Format(plan.DestinationBytes)} on {DeviceOption.Describe(plan.Device)}{_load.Become(parsed)}, {Sizes.Count(plan.Staging.Lanes, "lane")}");
        var table = new TextTable("lrrrrrr");
        table.Add(["", "seconds", "GB/s", "first touch s", "reads s", .. HashColumn("hashing s"), "placing s"]);
        for (var i = 0; i < loads.Count; i++)
        {
            var load = loads[i];
            table.Add(
            [
                i == 0 ? "load" : $"again {i}",
                $"{load.Elapsed.TotalSeconds:0.000}",
                $"{load.ReadBytesPerSecond / 1e9:0.00}",
                $"{PerLane(load.FirstTouch, load).TotalSeconds:0.000}",
                $"{PerLane(load.Reading, load).TotalSeconds:0.000}",
                .. HashColumn($"{PerLane(load.Hashing, load).TotalSeconds:0.000}"),
                $"{PerLane(load.Placing, load).TotalSeconds:0.000}",
            ]);
        }

        table.WriteTo(console.Out, "  ");
        if (verifies)
        {
            console.Out.WriteLine($"every tensor is what {Quoted.Plain(parsed.GetValue(_verify)!)} says");
        }

        if (parsed.GetValue(_checkFinite))
        {
            console.Out.WriteLine("every value is finite");
        }

        console.Out.WriteLine($"opened in {opened.TotalSeconds:0.000} s, peak memory {Sizes.Format(peak)}");

        IEnumerable<string> HashColumn(string cell) => verifies ? [cell] : [];
    }

    // Lanes work side by side: the mean is the share of the time that passed.
    private static TimeSpan PerLane(TimeSpan sum, LoadStatistics load) => sum / load.Lanes;
}
