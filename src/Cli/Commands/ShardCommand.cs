using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Saves what each rank of a model holds after its load, so that the next start reads exactly that.</summary>
internal sealed class ShardCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A model's folder, or a checkpoint that says what it is the weights of (GGUF)." };
    private readonly Argument<string> _output = new("OUT") { Description = "The folder, which gets the parts and the manifest of each rank, and configuration and tokenizer. It appears whole, when all ranks are saved." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly LoadArguments _load = new();
    private readonly ModelArguments _model = new("Share the model between N tensor-parallel ranks.", asksLauncher: false, isAlways: true);
    private readonly Option<string?> _maximumSize = new("--max-size")
    {
        Description = "The most tensor data in one part of a rank, such as 4GB; by default each rank has one part.",
        HelpName = "SIZE",
    };

    private readonly Option<string?> _pattern = new("--pattern")
    {
        Description = $"What the files are called; by default {ShardFilePattern.DefaultText}.",
        HelpName = "PATTERN",
    };

    private readonly Option<bool> _unprocessed = new("--unprocessed")
    {
        Description = "Save the parameters as the checkpoint fills them, before quantisation methods change them.",
    };

    private readonly Option<bool> _force = new("--force") { Description = "Replace the folder if it exists, where it has nothing but a checkpoint in it." };

    /// <inheritdoc/>
    public override string Name => "shard";

    /// <inheritdoc/>
    protected override string Description =>
        "Loads a model as each of N ranks holds it and saves that: packed, padded, dequantised. 'load --sharded' then reads a rank's own files and nothing else. Without --rank all ranks are saved, one after the other; "
        + "with it one, by as many processes as there are ranks, and the last one has the folder appear.";

    /// <inheritdoc/>
    public override string Example => "shard models/llama models/llama-tp4 --tp 4 --max-size 4GB";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_output);
        command.Add(_maximumSize);
        command.Add(_pattern);
        command.Add(_unprocessed);
        command.Add(_force);
        _load.AddTo(command);
        _model.AddTo(command);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        _model.Check(parsed);
        // What is typed wrong is said before anything is opened.
        var world = (_model.Parallel(parsed) ?? new TensorParallel(1, 0)).WorldSize;
        var (path, output) = (parsed.GetValue(_path)!, parsed.GetValue(_output)!);
        var options = SaveOptions(parsed, path);
        if (options.Overwrite)
        {
            await OutputFolder.ThrowIfOthersWouldGoAsync(output, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            OutputFolder.ThrowIfNotEmpty(output);
        }

        var started = Stopwatch.GetTimestamp();
        var saved = new List<SavedRank>();
        // Processes that save a rank each meet by what they save; whoever saves all needs to meet nobody.
        string? id = _model.NamesRank(parsed) ? null : Guid.NewGuid().ToString("N");
        try
        {
            foreach (var rank in _model.Rank(parsed) is { } one ? [one] : Enumerable.Range(0, world))
            {
                saved.Add(await SaveAsync(parsed, console, new TensorParallel(world, rank), id, options, cancellationToken).ConfigureAwait(false));
            }
        }
        catch when (id is not null)
        {
            _ = await JoinedFolder.AbandonAsync(output, id, CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        Write(parsed, console, saved, Stopwatch.GetElapsedTime(started));
        return ExitCodes.Success;
    }

    private async Task<SavedRank> SaveAsync(
        ParseResult parsed, CommandConsole console, TensorParallel parallel, string? id, ShardedStateSaveOptions options, CancellationToken cancellationToken)
    {
        var (path, output) = (parsed.GetValue(_path)!, parsed.GetValue(_output)!);
        var checkpointOptions = _checkpoint.Options(parsed);
        var load = _load.Options(parsed, console, _checkpoint.Choice(parsed));
        var model = await _model
            .OpenAsync(
                parsed, console, path, weights => _load.OpenAsync(parsed, console, weights, checkpointOptions, cancellationToken), checkpointOptions, load.DType, cancellationToken, parallel)
            .ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            if (parallel.Rank == 0 || _model.NamesRank(parsed))
            {
                WriteWarnings(console, model.Checkpoint.Warnings);
            }

            var plan = ModelArguments.MakePlan(model, await _model.OptionsAsync(parsed, load, model, neverStrict: false, cancellationToken).ConfigureAwait(false), cancellationToken);
            var label = parallel.WorldSize > 1 ? $" rank {parallel.Rank} of {parallel.WorldSize}" : "";
            var started = Stopwatch.GetTimestamp();
            var statistics = await ProgressDisplay
                .RunAsync(console, $"loading{label}", progress => new ModuleLoader().LoadAsync(plan, progress, cancellationToken)).ConfigureAwait(false);
            if (options.IsProcessed)
            {
                WeightProcessing.Run(model.Module, model.Context.DType, plan.Reads.Device, cancellationToken);
            }

            var loaded = Stopwatch.GetElapsedTime(started);
            var own = options with
            {
                Parallel = parallel,
                ModelDType = model.Context.DType,
                SaveId = id ?? ShardIdentity.Of(model, options, plan, parallel.WorldSize),
            };
            var result = await ProgressDisplay
                .RunAsync(console, $"saving{label}", progress => new ShardedStateLoader().SaveModelAsync(model.Module, output, own, progress, cancellationToken)).ConfigureAwait(false);
            return new SavedRank(new ModelReport(model, plan), result, statistics.BytesRead + plan.ValueBytes, loaded);
        }
    }

    private ShardedStateSaveOptions SaveOptions(ParseResult parsed, string path)
    {
        long? maximum = parsed.GetValue(_maximumSize) is not { } size ? null
            : Sizes.TryParse(size, out var bytes) && bytes > 0 ? bytes
            : throw new UsageException($"{_maximumSize.Name} takes a size such as 4GB, not '{size}'.");
        try
        {
            return new ShardedStateSaveOptions
            {
                Pattern = parsed.GetValue(_pattern) is { } pattern ? ShardFilePattern.Parse(pattern) : null,
                MaximumPartBytes = maximum,
                IsProcessed = !parsed.GetValue(_unprocessed),
                Overwrite = parsed.GetValue(_force),
                CarriedFrom = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path)),
            };
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    private void Write(ParseResult parsed, CommandConsole console, List<SavedRank> saved, TimeSpan elapsed)
    {
        var (path, output) = (parsed.GetValue(_path)!, parsed.GetValue(_output)!);
        var last = saved[^1].Result;
        var (read, written) = (saved.Sum(rank => rank.BytesRead), saved.Sum(rank => rank.Result.ByteLength));
        if (console.Json)
        {
            var document = new ShardDocument(
                path,
                output,
                last.SaveId,
                saved[0].Report.Description,
                !parsed.GetValue(_unprocessed),
                [.. saved.Select(rank => new ShardedRank(
                    rank.Result.Parallel.Rank,
                    rank.Result.TensorCount,
                    rank.Result.RestoredCount,
                    rank.Result.ByteLength,
                    rank.Result.Files,
                    rank.Loaded.TotalSeconds,
                    rank.Result.Elapsed.TotalSeconds))],
                last.IsComplete,
                last.MissingRanks,
                last.CarriedFiles,
                read,
                written,
                elapsed.TotalSeconds,
                PeakMemory.Read());
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ShardDocument);
            return;
        }

        foreach (var rank in saved)
        {
            var restored = rank.Result.RestoredCount > 0 ? $", {Sizes.Count(rank.Result.RestoredCount, "further name")}" : "";
            console.Out.WriteLine(
                $"rank {rank.Result.Parallel.Rank} of {rank.Result.Parallel.WorldSize}: {Sizes.Count(rank.Result.TensorCount, "tensor")}{restored}, {Sizes.Format(rank.Result.ByteLength)} in {Sizes.Count(rank.Result.Files.Length, "file")}, "
                + $"loaded in {rank.Loaded.TotalSeconds:0.000} s, saved in {rank.Result.Elapsed.TotalSeconds:0.000} s");
        }

        console.Out.WriteLine(
            last.IsComplete
                ? $"{Quoted.Plain(output)}: {Sizes.Format(read)} read, {Sizes.Format(written)} written in {elapsed.TotalSeconds:0.000} s, peak memory {Sizes.Format(PeakMemory.Read())}"
                : $"{Quoted.Plain(output)} appears when {(last.MissingRanks.Length == 1 ? "rank" : "ranks")} {string.Join(", ", last.MissingRanks)} {(last.MissingRanks.Length == 1 ? "is" : "are")} saved too, with the same options");
    }

    private sealed record SavedRank(ModelReport Report, ShardedStateSaveResult Result, long BytesRead, TimeSpan Loaded);
}
