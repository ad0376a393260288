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
    private readonly Argument<string> _output = new Argument<string>("OUT") { Description = "The folder, which gets the parts and the manifest of each rank, and configuration and tokenizer. It appears whole, when all ranks are saved." }.LocalOnly();
    private readonly CheckpointArguments _checkpoint = new(RemoteAccess.Cache);
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

    private readonly Option<string?> _saveId = new("--save-id")
    {
        Description = "With --rank: what all ranks of this one save call it, instead of what follows from the checkpoint's files, their times and the options. A name is used once: a rank joins whatever waits under it.",
        HelpName = "ID",
    };

    private readonly Option<bool> _force = new("--force") { Description = "Replace the folder if it exists, where it has nothing but a checkpoint in it." };

    /// <inheritdoc/>
    public override string Name => "shard";

    /// <inheritdoc/>
    protected override string Description =>
        "Loads a model as each of N ranks holds it and saves that: packed, padded, dequantised. 'load --sharded' then reads a rank's own files and nothing else. Without --rank all ranks are saved, one after the other; "
        + "with it one, by as many processes as there are ranks, and the last one has the folder appear; a rank that waits for others is dropped when another save of the same folder is complete.";

    /// <inheritdoc/>
    public override string Example => "shard models/llama models/llama-tp4 --tp 4 --max-size 4GB";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_output);
        command.Add(_maximumSize);
        command.Add(_pattern);
        command.Add(_unprocessed);
        command.Add(_saveId);
        command.Add(_force);
        _load.AddTo(command);
        _model.AddTo(command);
        _checkpoint.AddTo(command);
        _checkpoint.Remote.AddStreamTo(command);
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
        else if (!_model.NamesRank(parsed) || await CompleteAsync(output, cancellationToken).ConfigureAwait(false) is null)
        {
            OutputFolder.ThrowIfNotEmpty(output);
        }

        options = options with { CarriedPlace = await _checkpoint.Remote.PlaceOfAsync(path, cancellationToken).ConfigureAwait(false) };
        var started = Stopwatch.GetTimestamp();
        var saved = new List<SavedRank>();
        // Processes that save a rank each meet by what they save; whoever saves all needs to meet nobody.
        if (_model.Rank(parsed) is { } one)
        {
            saved.Add(await SaveAsync(parsed, console, new TensorParallel(world, one), parsed.GetValue(_saveId), options, cancellationToken).ConfigureAwait(false));
        }
        else
        {
            var id = Guid.NewGuid().ToString("N");
            try
            {
                await SaveAllAsync(parsed, console, world, id, options, saved, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await AbandonAsync(console, output, id).ConfigureAwait(false);
                throw;
            }
        }

        Write(parsed, console, saved, Stopwatch.GetElapsedTime(started));
        return ExitCodes.Success;
    }

    private async Task SaveAllAsync(
        ParseResult parsed, CommandConsole console, int world, string id, ShardedStateSaveOptions options, List<SavedRank> saved, CancellationToken cancellationToken)
    {
        var output = parsed.GetValue(_output)!;
        // Between two ranks nobody is in the save, and another one of this folder would take it for abandoned.
        var held = await HeldSave.TakeAsync(output, id, cancellationToken).ConfigureAwait(false);
        await using (held.ConfigureAwait(false))
        {
            for (var rank = 0; rank < world; rank++)
            {
                saved.Add(await SaveAsync(parsed, console, new TensorParallel(world, rank), id, options, cancellationToken).ConfigureAwait(false));
            }
        }

        if (saved[^1].Result is { IsComplete: false } last)
        {
            throw new IOException(
                $"{output}: all {world} ranks were saved, and the shares of {string.Join(", ", last.MissingRanks)} are gone: something else has removed them meanwhile. Save it again.");
        }
    }

    // What ended the save is what the user hears of.
    private static async Task AbandonAsync(CommandConsole console, string output, string id)
    {
        try
        {
            if (!await HeldSave.AbandonAsync(output, id, CancellationToken.None).ConfigureAwait(false))
            {
                console.Warn($"{Quoted.Plain(output)}: what was saved of it is held by another process and stays beside it until the next save is complete.");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            console.Warn($"What was saved of it could not be removed: {Quoted.Plain(exception.Message)}");
        }
    }

    // The identifier of the save that a folder is, all ranks of it.
    private static async Task<string?> CompleteAsync(string output, CancellationToken cancellationToken)
    {
        try
        {
            return Directory.Exists(output) && await RankManifest.ReadFolderAsync(output, cancellationToken).ConfigureAwait(false) is { IsEmpty: false } manifests ? manifests[0].SaveId : null;
        }
        catch (CheckpointException)
        {
            // Something else, which is replaced or not as anything else is.
            return null;
        }
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
            id ??= await SaveIdentity.OfAsync(model.Checkpoint, model.Context, options, load, _model.Map(parsed), cancellationToken).ConfigureAwait(false);
            if (_model.NamesRank(parsed))
            {
                // Also with --force: a rank that comes late, or again, would replace the whole by a share that waits.
                if (await CompleteAsync(output, cancellationToken).ConfigureAwait(false) == id)
                {
                    return new SavedRank(new ModelReport(model, plan), id, null, 0, TimeSpan.Zero);
                }

                if (!options.Overwrite)
                {
                    OutputFolder.ThrowIfNotEmpty(output);
                }
            }

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
                SaveId = id,
            };
            var result = await ProgressDisplay
                .RunAsync(console, $"saving{label}", progress => new ShardedStateLoader().SaveModelAsync(model.Module, output, own, progress, cancellationToken)).ConfigureAwait(false);
            return new SavedRank(new ModelReport(model, plan), id, result, statistics.BytesRead + plan.ValueBytes, loaded);
        }
    }

    private ShardedStateSaveOptions SaveOptions(ParseResult parsed, string path)
    {
        if (parsed.GetValue(_saveId) is { } id)
        {
            if (!_model.NamesRank(parsed))
            {
                throw new UsageException($"{_saveId.Name} goes with --rank: without it, one process saves all ranks.");
            }

            if (!JoinedFolder.IsId(id))
            {
                throw new UsageException($"{_saveId.Name} takes 1 to 64 letters and digits of ASCII, '.', '_' and '-', not beginning with '.', without '.save-', not ending with '.tmp' or '.old'; not {Quoted.Name(id)}.");
            }
        }

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
                CarriedFrom = RemoteArguments.FolderOf(path),
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
        var (read, written) = (saved.Sum(rank => rank.BytesRead), saved.Sum(rank => rank.Result?.ByteLength ?? 0));
        if (console.Json)
        {
            var document = new ShardDocument(
                AddressScheme.WithoutSecrets(path),
                output,
                saved[^1].Id,
                saved[0].Report.Description,
                !parsed.GetValue(_unprocessed),
                [.. saved.Where(rank => rank.Result is not null).Select(rank => new ShardedRank(
                    rank.Result!.Parallel.Rank,
                    rank.Result.TensorCount,
                    rank.Result.RestoredCount,
                    rank.Result.ByteLength,
                    rank.Result.Files,
                    rank.Loaded.TotalSeconds,
                    rank.Result.Elapsed.TotalSeconds))],
                last?.IsComplete ?? true,
                last?.MissingRanks ?? [],
                last?.CarriedFiles ?? [],
                read,
                written,
                elapsed.TotalSeconds,
                PeakMemory.Read());
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ShardDocument);
            return;
        }

        if (last is null)
        {
            console.Out.WriteLine($"{Quoted.Plain(output)} is this save already, with all ranks ({saved[^1].Id}); nothing was written");
            return;
        }

        foreach (var rank in saved)
        {
            var result = rank.Result!;
            var restored = result.RestoredCount > 0 ? $", {Sizes.Count(result.RestoredCount, "further name")}" : "";
            console.Out.WriteLine(
                $"rank {result.Parallel.Rank} of {result.Parallel.WorldSize}: {Sizes.Count(result.TensorCount, "tensor")}{restored}, {Sizes.Format(result.ByteLength)} in {Sizes.Count(result.Files.Length, "file")}, "
                + $"loaded in {rank.Loaded.TotalSeconds:0.000} s, saved in {result.Elapsed.TotalSeconds:0.000} s");
        }

        console.Out.WriteLine(
            last.IsComplete
                ? $"{Quoted.Plain(output)}: {Sizes.Format(read)} read, {Sizes.Format(written)} written in {elapsed.TotalSeconds:0.000} s, peak memory {Sizes.Format(PeakMemory.Read())}"
                : $"{Quoted.Plain(output)} appears when {(last.MissingRanks.Length == 1 ? "rank" : "ranks")} {string.Join(", ", last.MissingRanks)} {(last.MissingRanks.Length == 1 ? "is" : "are")} saved too, {(parsed.GetValue(_saveId) is { } named ? $"as {named}" : "from the same files (names, sizes and times of weights, bytes of configuration and tokenizer) with the same options, or all with one --save-id")}");
    }

    // Without a result nothing had to be done.
    private sealed record SavedRank(ModelReport Report, string Id, ShardedStateSaveResult? Result, long BytesRead, TimeSpan Loaded);
}
