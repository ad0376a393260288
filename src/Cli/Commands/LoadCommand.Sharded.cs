using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <content><c>load --sharded</c>: what a rank has saved (<c>shard</c>).</content>
internal sealed partial class LoadCommand
{
    private readonly Option<bool> _sharded = new("--sharded")
    {
        Description = "Load what --rank has saved ('shard', or vLLM's sharded state): its own files, as they are. With --model into the layout of the model that the folder has the configuration of, which is checked.",
    };

    private readonly Option<bool> _reshard = new("--reshard")
    {
        Description = "With --sharded, --model and --tp: where another number of ranks has saved, put the tensors together and split them for this one.",
    };

    private readonly Option<bool> _noVerify = new("--no-verify")
    {
        Description = "With --sharded: do not hold each tensor's SHA-256 against the manifests. Sizes and headers still are; reads from the page cache are several times faster than the hash.",
    };

    private readonly Option<string?> _pattern = new("--pattern")
    {
        Description = $"With --sharded: what the files are called where there are no manifests; by default {ShardFilePattern.DefaultText}.",
        HelpName = "PATTERN",
    };

    private async Task<int> LoadShardedAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        CheckShardedOptions(parsed);
        var path = parsed.GetValue(_path)!;
        var load = _load.Options(parsed, console, _checkpoint.Choice(parsed)) with { DType = null };
        var options = new ShardedStateLoadOptions { Load = load, Warnings = new WarningLog(new ConsoleLog(console)), Verify = !parsed.GetValue(_noVerify) };
        var loader = MakeLoader(parsed);
        var parallel = _model.Parallel(parsed);
        var rank = parallel?.Rank ?? _model.Rank(parsed) ?? 0;
        if (_model.IsAsked(parsed))
        {
            return await LoadShardedModelAsync(parsed, console, loader, parallel, rank, options, cancellationToken).ConfigureAwait(false);
        }

        var started = Stopwatch.GetTimestamp();
        var state = await loader.OpenAsync(path, rank, cancellationToken).ConfigureAwait(false);
        await using (state.ConfigureAwait(false))
        {
            ThrowIfOtherWorld(state, parallel);
            var opened = Stopwatch.GetElapsedTime(started);
            foreach (var warning in state.Warnings)
            {
                console.Warn(warning);
            }

            started = Stopwatch.GetTimestamp();
            using var tensors = await ProgressDisplay
                .RunAsync(console, "loading", progress => state.LoadTensorsAsync(null, options, progress, cancellationToken)).ConfigureAwait(false);
            var elapsed = Stopwatch.GetElapsedTime(started);
            var bytes = state.Checkpoint.TensorBytes;
            WriteSharded(
                console,
                new ShardedLoadDocument(
                    AddressScheme.WithoutSecrets(path), load.Device.Id, rank, state.WorldSize, state.WorldSize, state.Manifest is not null && options.Verify, false, null, tensors.Count, bytes, bytes, opened.TotalSeconds, elapsed.TotalSeconds, bytes / elapsed.TotalSeconds / 1e9, PeakMemory.Read()),
                load.Device);
        }

        return ExitCodes.Success;
    }

    private async Task<int> LoadShardedModelAsync(
        ParseResult parsed, CommandConsole console, ShardedStateLoader loader, TensorParallel? parallel, int rank, ShardedStateLoadOptions options, CancellationToken cancellationToken)
    {
        var path = parsed.GetValue(_path)!;
        var started = Stopwatch.GetTimestamp();
        int? savedWorld;
        DType? savedFor;
        var state = await loader.OpenAsync(path, parsed.GetValue(_reshard) ? 0 : rank, cancellationToken).ConfigureAwait(false);
        await using (state.ConfigureAwait(false))
        {
            savedFor = state.ProcessedFor;
            // Without manifests there are as many ranks as have files here, or more.
            savedWorld = state.WorldSize ?? (parsed.GetValue(_reshard) ? await loader.CountRanksAsync(path, cancellationToken).ConfigureAwait(false) : null);
            parallel ??= new TensorParallel(savedWorld ?? Math.Max(await loader.CountRanksAsync(path, cancellationToken).ConfigureAwait(false), rank + 1), rank);
            // What is loaded below is what was looked at here, or an error.
            options = options with { SaveId = state.Manifest?.SaveId };
            if (!parsed.GetValue(_reshard))
            {
                ThrowIfOtherWorld(state, parallel);
            }
        }

        var context = await ContextAsync(parsed, console, path, parallel, savedFor, cancellationToken).ConfigureAwait(false);
        using var module = ModelInitializer.Initialize(context);
        var opened = Stopwatch.GetElapsedTime(started);
        started = Stopwatch.GetTimestamp();
        var isResharded = parsed.GetValue(_reshard) && savedWorld != parallel.WorldSize;
        var (read, isVerified) = await ProgressDisplay.RunAsync(console, "loading", async progress =>
        {
            if (isResharded)
            {
                var result = await loader
                    .ReshardAsync(module, path, other => ModelInitializer.Initialize(context with { Parallel = other }), options, progress, cancellationToken).ConfigureAwait(false);
                return (result.BytesRead, result.IsVerified);
            }

            var loaded = await loader.LoadAsync(module, path, parallel, options, progress, cancellationToken).ConfigureAwait(false);
            return (loaded.BytesRead, loaded.IsVerified);
        }).ConfigureAwait(false);

        var elapsed = Stopwatch.GetElapsedTime(started);
        Tensor[] tensors = [.. module.NamedState().Select(entry => entry.Tensor).Where(tensor => tensor.Device.Kind != DeviceKind.Meta).Distinct()];
        var description = new ModelDescription(
            context.Config.Architectures is [var first, ..] ? first : "",
            ModelRegistry.Default.GetModelArchitecture(context).Architecture,
            context.DType.Name,
            parallel.WorldSize > 1 ? new PlannedRank(parallel.WorldSize, parallel.Rank) : null,
            context.QuantizationMethod);
        WriteSharded(
            console,
            new ShardedLoadDocument(
                AddressScheme.WithoutSecrets(path),
                options.Load.Device.Id,
                parallel.Rank,
                parallel.WorldSize,
                savedWorld,
                isVerified,
                isResharded,
                description,
                tensors.Length,
                tensors.Sum(tensor => tensor.ByteLength),
                read,
                opened.TotalSeconds,
                elapsed.TotalSeconds,
                read / elapsed.TotalSeconds / 1e9,
                PeakMemory.Read()),
            options.Load.Device);
        return ExitCodes.Success;
    }

    // Processed weights are of the dtype that the model computed with.
    private async Task<ModelContext> ContextAsync(
        ParseResult parsed, CommandConsole console, string path, TensorParallel parallel, DType? savedFor, CancellationToken cancellationToken)
    {
        var config = await ModelConfig.OpenAsync(path, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        var context = new ModelContext
        {
            Config = config,
            Parallel = parallel,
            Implementation = _model.Implementation(parsed),
            Warnings = new WarningLog(new ConsoleLog(console)),
        };
        return context.WithDType(DTypeOption.Parse(_load.DType(parsed)) ?? savedFor).WithQuantization();
    }

    private ShardedStateLoader MakeLoader(ParseResult parsed)
    {
        try
        {
            var options = ShardedStateOptions.Default with { Remote = _checkpoint.Options(parsed).Remote };
            return new ShardedStateLoader(parsed.GetValue(_pattern) is { } pattern ? options with { Pattern = ShardFilePattern.Parse(pattern) } : options);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    private void CheckShardedOptions(ParseResult parsed)
    {
        if (parsed.GetValue(_verify) is not null || parsed.GetValue(_repeat) != 0 || parsed.GetValue(_checkFinite))
        {
            throw new UsageException("--verify, --repeat and --check-finite are for loads of a checkpoint's own tensors: --sharded has manifests of its own, and checks them.");
        }

        if (_checkpoint.Choice(parsed) is { Include.IsEmpty: false } or { Exclude.IsEmpty: false })
        {
            throw new UsageException("--include and --exclude are for checkpoints: of a sharded state a rank loads all that it has saved.");
        }

        if (!_model.IsAsked(parsed) && _load.DType(parsed) != DTypeOption.Keep)
        {
            throw new UsageException("--dtype is what a model computes with here: give --model too; without it a state is loaded as it was saved.");
        }

        if (parsed.GetValue(_reshard) && (!_model.IsAsked(parsed) || _model.WorldSize(parsed) is null))
        {
            throw new UsageException($"--reshard needs --model, whose layout says how tensors are split, and {_model.WorldSizeName}, the number of ranks.");
        }
    }

    private static void ThrowIfOtherWorld(ShardedState state, TensorParallel? parallel)
    {
        if (parallel is not null && state.WorldSize is { } world && world != parallel.WorldSize)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.WorldSizeMismatch,
                state.Folder,
                $"the state was saved by {Sizes.Count(world, "rank")} and {Sizes.Count(parallel.WorldSize, "rank")} were asked for (--tp): load it with as many, or have it split anew (--reshard, with --model).");
        }
    }

    private static void WriteSharded(CommandConsole console, ShardedLoadDocument document, Device device)
    {
        if (console.Json)
        {
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ShardedLoadDocument);
            return;
        }

        var world = document.WorldSize is { } ranks ? $" of {ranks}" : "";
        var resharded = document.Resharded ? $", split anew from {Sizes.Count(document.SavedWorldSize ?? 0, "rank")}" : "";
        console.Out.WriteLine(
            $"{Quoted.Plain(document.Path)} rank {document.Rank}{world}: {Sizes.Count(document.Tensors, "tensor")}, {Sizes.Format(document.Bytes)} on {DeviceOption.Describe(device)}{resharded}, {(document.Verified ? "verified" : "not verified")}");
        console.Out.WriteLine(
            $"  {Sizes.Format(document.BytesRead)} read in {document.LoadSeconds:0.000} s, {document.ReadGigabytesPerSecond:0.00} GB/s, opened in {document.OpenSeconds:0.000} s, peak memory {Sizes.Format(document.PeakMemoryBytes)}");
    }
}
