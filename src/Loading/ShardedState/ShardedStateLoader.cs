using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Saves what a rank holds after its load, and loads exactly that: each rank reads its own files alone. The counterpart of vLLM's loader of that name. Without state but its options; safe for any thread, as long as each model
/// is one's own.
/// </summary>
public sealed class ShardedStateLoader
{
    private const string PatternKey = "pattern";

    private readonly ShardedStateOptions _options;

    /// <summary>Makes a loader.</summary>
    /// <param name="options">What the files are called; null for the defaults.</param>
    public ShardedStateLoader(ShardedStateOptions? options = null) => _options = options ?? ShardedStateOptions.Default;

    /// <summary>What the files are called.</summary>
    public ShardFilePattern Pattern => _options.Pattern;

    /// <summary>Makes a loader of the extra options of a load, as vLLM's configuration has them: <c>pattern</c>, and nothing else.</summary>
    /// <param name="extra">The options by their names; null for none.</param>
    /// <exception cref="ArgumentException">There are other options, which the message names all, or the pattern is none.</exception>
    public static ShardedStateLoader FromExtraConfig(IReadOnlyDictionary<string, object?>? extra)
    {
        extra ??= new Dictionary<string, object?>();
        string[] unknown = [.. extra.Keys.Where(key => key != PatternKey).Order(StringComparer.Ordinal).Select(Quoted.Name)];
        if (unknown.Length > 0)
        {
            throw new ArgumentException(
                $"A sharded state is loaded without the extra option{(unknown.Length == 1 ? "" : "s")} {string.Join(", ", unknown)}; there is '{PatternKey}' alone.", nameof(extra));
        }

        return !extra.TryGetValue(PatternKey, out var pattern) ? new ShardedStateLoader()
            : pattern is string text ? new ShardedStateLoader(new ShardedStateOptions { Pattern = ShardFilePattern.Parse(text) })
            : throw new ArgumentException($"'{PatternKey}' is a text such as {ShardFilePattern.DefaultText}, not {pattern?.GetType().Name ?? "null"}.", nameof(extra));
    }

    /// <summary>
    /// Saves the state of a model as it is on this rank: parameters and buffers under all their names. The folder appears whole when the last rank is done, and in one step. Bytes come from the device in pieces; nothing of a tensor's size is
    /// allocated.
    /// </summary>
    /// <param name="model">The model; stays the caller's, and nobody changes it meanwhile.</param>
    /// <param name="path">The folder, the same for all ranks.</param>
    /// <param name="options">What is saved, and as which rank; null for the defaults.</param>
    /// <param name="progress">Bytes and tensors that are written; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece; nothing of this rank is left behind.</param>
    /// <exception cref="ArgumentException">An option is out of range, or a needed one is missing.</exception>
    /// <exception cref="InvalidOperationException">There is nothing to save, a required tensor has no storage, or the model is being reloaded.</exception>
    /// <exception cref="CheckpointException">A name cannot be written, or a header would be too long.</exception>
    /// <exception cref="IOException">The folder exists and is not replaced, this rank of this save is being written elsewhere, the disk is full, or a write failed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<ShardedStateSaveResult> SaveModelAsync(
        Module model, string path, ShardedStateSaveOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= ShardedStateSaveOptions.Default;
        Check(options);
        if (model.NamedModules().Any(entry => entry.Module.Tensors.AreBesideLive))
        {
            throw new InvalidOperationException(
                "The model is being reloaded, and has other tensors than its live ones for a while: save it when the reload has ended; what reloads live models saves them too, and waits for that.");
        }

        return SaveAsync(model, path, options, FileSystemCalls.Native, HostDevice.Shared, progress, cancellationToken);
    }

    /// <summary>Opens the state of a rank: its headers and manifests, no tensor byte.</summary>
    /// <param name="folder">The folder; or an address, where <see cref="ShardedStateOptions.Remote"/> finds those.</param>
    /// <param name="rank">The rank, from 0.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <inheritdoc cref="ShardedState.OpenAsync(string, int, ShardFilePattern?, CancellationToken)" path="/exception"/>
    public Task<ShardedState> OpenAsync(string folder, int rank, CancellationToken cancellationToken = default) =>
        ShardedState.OpenAsync(folder, rank, _options, cancellationToken);

    /// <summary>How many ranks a folder or an address has files of, one after the other from rank 0 on, whatever manifests say.</summary>
    /// <param name="folder">The folder or the address.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="IOException">The files cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The files may not be listed.</exception>
    public async Task<int> CountRanksAsync(string folder, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var place = await StatePlaces.LocateAsync(folder, _options.Remote, cancellationToken).ConfigureAwait(false);
        return Pattern.CountRanks(await place.ListAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Loads the state that a rank has saved into its model. A new model, whose parameters have no storage, gets it as it was, with the strides that were saved; where processed weights were saved, the model is processed first, without
    /// values. Its ties and views share memory again: what shares none in the model, but did when it was saved, gets a copy. A model that has storage keeps it, and is written into.
    /// </summary>
    /// <remarks>After a failure or a cancellation a new model is as it was and nothing stays allocated; what has storage may be written in part. Before anything is read, what the load takes at most is held against the memory that is free: beside what the model keeps, tensors that are put together
    /// into one memory, such as strided ones, are there twice, one memory at a time, and what several parts have of a memory waits until all of it is there.</remarks>
    /// <param name="model">The model; stays the caller's, and nobody else uses it meanwhile.</param>
    /// <param name="folder">The folder; or an address, where <see cref="ShardedStateOptions.Remote"/> finds those.</param>
    /// <param name="parallel">Which rank of how many the model is; null for one alone.</param>
    /// <param name="options">Where to and how; null for the defaults.</param>
    /// <param name="progress">Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <exception cref="ArgumentException">An option is out of range, or one that chooses or changes tensors.</exception>
    /// <exception cref="InvalidCheckpointException">There are no files of that rank, the state was saved by another number of ranks, or a file breaks a rule of its format.</exception>
    /// <exception cref="ModelMismatchException">State and model do not fit; nothing was read. The message names all missing and unexpected names.</exception>
    /// <exception cref="ManifestMismatchException">Tensors have other bytes than when they were saved.</exception>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold the state.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<ShardedStateLoadResult> LoadAsync(
        Module model,
        string folder,
        TensorParallel? parallel = null,
        ShardedStateLoadOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        options ??= ShardedStateLoadOptions.Default;
        options.Check();
        return LoadIntoAsync(model, folder, parallel, options, progress, cancellationToken);
    }

    /// <summary>
    /// Loads what another number of ranks has saved into the model of one rank: each tensor is put together from the saved ranks' shares and split anew, where its loader knows how (<see cref="StateResharder"/>). Where
    /// processed weights were saved, the models are processed first, without values.
    /// </summary>
    /// <param name="model">The model of this rank, whose parameters have no storage; stays the caller's, and is as it was after a failure.</param>
    /// <param name="folder">The folder or the address; without manifests, the ranks are counted by their files.</param>
    /// <param name="makeSaved">Makes the model of a rank of so many on the meta device; disposed here.</param>
    /// <param name="options">Where to and how; null for the defaults.</param>
    /// <param name="progress">Told of the shares that were read; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot.</param>
    /// <exception cref="ModelMismatchException">It is not known how tensors are split, or they are missing or differ where they must not. The message names all.</exception>
    /// <inheritdoc cref="LoadAsync" path="/exception"/>
    public async Task<ReshardResult> ReshardAsync(
        Module model,
        string folder,
        Func<TensorParallel, Module> makeSaved,
        ShardedStateLoadOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(makeSaved);
        options ??= ShardedStateLoadOptions.Default;
        options.Check();
        var place = await StatePlaces.LocateAsync(folder, _options.Remote, cancellationToken).ConfigureAwait(false);
        var states = await SavedRanks.OpenAsync(place, Pattern, options, cancellationToken).ConfigureAwait(false);
        await using var close = states.ConfigureAwait(false);
        var first = states.First;
        ThrowIfOtherProcessing(first, options);
        foreach (var warning in first.Warnings)
        {
            options.Warnings.WarnOnce(warning);
        }

        using var before = first.ProcessedFor is null ? null : ModuleStructure.Of(model);
        try
        {
            var result = await StateResharder.ReshardAsync(
                Processed(model), states.Count, rank => Processed(makeSaved(new TensorParallel(states.Count, rank))), states.ReadAsync, options.Load.Device, progress, cancellationToken).ConfigureAwait(false);
            return result with { IsVerified = options.Verify && first.Manifest is not null, SaveId = first.Manifest?.SaveId };
        }
        catch
        {
            before?.Restore();
            throw;
        }

        Module Processed(Module made)
        {
            if (first.ProcessedFor is { } dtype)
            {
                WeightProcessing.Run(made, dtype, MetaDevice.Shared, cancellationToken);
            }

            return made;
        }
    }

    private async Task<ShardedStateLoadResult> LoadIntoAsync(
        Module model, string folder, TensorParallel parallel, ShardedStateLoadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var place = await StatePlaces.LocateAsync(folder, _options.Remote, cancellationToken).ConfigureAwait(false);
        var manifests = await ShardedState.ReadManifestsAsync(place, cancellationToken).ConfigureAwait(false);
        options.ThrowIfOtherSave(folder, manifests);
        var count = manifests.IsEmpty ? Pattern.CountRanks(await place.ListAsync(cancellationToken).ConfigureAwait(false)) : manifests.Length;
        ThrowIfOtherWorld(folder, count, manifests.IsEmpty, parallel);
        var state = await ShardedState.OpenRankAsync(place, parallel.Rank, Pattern, manifests, cancellationToken).ConfigureAwait(false);
        await using var close = state.ConfigureAwait(false);
        await ShardedState.ThrowIfReplacedAsync(place, manifests, cancellationToken).ConfigureAwait(false);
        ThrowIfOtherProcessing(state, options);
        // What has storage is taken as processed: it is not processed twice.
        var isNew = model.NamedParameters().All(entry => entry.Parameter.IsMeta);
        var processedFor = isNew ? state.ProcessedFor : null;
        using var before = processedFor is null ? null : ModuleStructure.Of(model);
        try
        {
            if (processedFor is { } dtype)
            {
                WeightProcessing.Run(model, dtype, MetaDevice.Shared, cancellationToken);
            }

            var structure = ModelState.Of(model);
            var fit = StateFit.Of(state, structure, options.AllowsNarrower || manifests.IsEmpty);
            ImmutableArray<string> warnings = [.. state.Warnings, .. isNew ? [] : ProcessingWarnings(state, structure, options), .. fit.Warnings];
            foreach (var warning in warnings)
            {
                options.Warnings.WarnOnce(warning);
            }

            using var load = new StateLoad(structure, fit, options.Load.Device);
            var bytes = await StateReading.RunAsync(state, options, load, progress, cancellationToken).ConfigureAwait(false);
            load.Give();
            return new ShardedStateLoadResult(state.Files, fit.Targets.Count, bytes, options.Verify && state.Manifest is not null, warnings, Stopwatch.GetElapsedTime(started))
            {
                SaveId = state.Manifest?.SaveId,
            };
        }
        catch
        {
            before?.Restore();
            throw;
        }
    }

    // Known before the rank's own files are looked for: a rank that the save did not have is no missing file. A folder without manifests may have the files of this machine's ranks alone, and never those of more ranks than there are.
    private static void ThrowIfOtherWorld(string folder, int count, bool isCounted, TensorParallel parallel)
    {
        if (isCounted ? count > parallel.WorldSize : count != parallel.WorldSize)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.WorldSizeMismatch,
                folder,
                $"{(isCounted ? $"the folder has files of {Ranks(count)}" : $"the state was saved by {Ranks(count)}")} and is loaded by {Ranks(parallel.WorldSize)}: load it with as many, or have it split anew (--reshard).",
                SafetensorsConstants.Format);
        }

        static string Ranks(int count) => count == 1 ? "1 rank" : string.Create(CultureInfo.InvariantCulture, $"{count} ranks");
    }

    private static void ThrowIfOtherProcessing(ShardedState state, ShardedStateLoadOptions options)
    {
        // Files of others say nothing of it.
        if (options.IsProcessed is { } isProcessed && state.Methods is not null && isProcessed != (state.ProcessedFor is not null))
        {
            throw new ModelMismatchException(
                state.Folder,
                [$"the state was saved {(isProcessed ? "before" : "after")} its weights were processed, and the model's are {(isProcessed ? "processed" : "not processed")}"],
                "Load it into a model at the same step: a new one is processed by the load where the state is.");
        }
    }

    private static ImmutableArray<string> ProcessingWarnings(ShardedState state, ModelState model, ShardedStateLoadOptions options) =>
        options.IsProcessed is not null && state.Methods is null
            ? [$"{Quoted.Plain(state.Folder)}: the files do not say whether their weights were processed; they are written into the model as they are."]
        : options.IsProcessed is null && (state.ProcessedFor is not null || !model.Methods.IsEmpty)
            ? [$"{Quoted.Plain(state.Folder)}: the state {(state.Methods is null ? "does not say whether its weights were processed" : $"was saved {(state.ProcessedFor is null ? "before" : "after")} its weights were processed")}, and nothing says whether the model's are; say it ({nameof(ShardedStateLoadOptions.IsProcessed)})."]
        : [];

    // Of options that were checked; tests end the process at a call, and count what is staged.
    internal async Task<ShardedStateSaveResult> SaveAsync(
        Module model, string path, ShardedStateSaveOptions options, FileSystemCalls calls, HostDevice staging, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var (rank, world) = (options.Parallel.Rank, options.Parallel.WorldSize);
        var id = options.SaveId ?? Guid.NewGuid().ToString("N");
        var pattern = options.Pattern ?? Pattern;
        var plan = SavePlan.Of(model, options);
        var carried = await CarriedFiles.OpenAsync(options.CarriedPlace, options.CarriedFrom, cancellationToken).ConfigureAwait(false);
        await using var closeCarried = carried.ConfigureAwait(false);
        var seen = await carried.HashAsync(cancellationToken).ConfigureAwait(false);
        var folder = await JoinedFolder.JoinAsync(path, id, rank, world, options.Overwrite, calls, cancellationToken).ConfigureAwait(false);
        await using var leave = folder.ConfigureAwait(false);
        CheckpointConverter.ThrowIfDiskIsTooSmall(folder.Path, checked(plan.ByteLength + carried.ByteLength));
        var files = new List<ManifestFile>();
        var tensors = new List<KeyValuePair<string, ManifestEntry>>();
        using (var writer = new StatePartWriter(new ProgressTally(progress, plan.ByteLength, plan.Parts.Sum(part => part.Length)), staging))
        {
            foreach (var (number, part) in plan.Parts.Index())
            {
                var (file, entries) = await writer.WriteAsync(folder, pattern.Format(rank, number), part, plan.Metadata[number], cancellationToken).ConfigureAwait(false);
                files.Add(file);
                tensors.AddRange(entries);
            }
        }

        var manifest = new RankManifest(id, rank, world, pattern.Text, [.. files], new TensorManifest(tensors), seen);
        var isLast = false;
        var missing = await folder.FinishAsync(
            manifest.ToBytes(),
            async (output, token) =>
            {
                isLast = true;
                await carried.CopyAsync(output, null, token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        return new ShardedStateSaveResult(
            path, id, options.Parallel, [.. files.Select(file => file.Name)], isLast ? carried.Names : [], tensors.Count, plan.RestoredCount, plan.ByteLength, missing, Stopwatch.GetElapsedTime(started));
    }

    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    private static void Check(ShardedStateSaveOptions options)
    {
        ArgumentNullException.ThrowIfNull(options.Parallel, nameof(options.Parallel));
        options.Parallel.Validate(nameof(options.Parallel));
        if (options.MaximumPartBytes is < 1)
        {
            throw new ArgumentException($"A part must hold at least one byte, not {options.MaximumPartBytes}.", nameof(options.MaximumPartBytes));
        }

        if (options is { SaveId: null, Parallel.WorldSize: > 1 })
        {
            throw new ArgumentException($"The {options.Parallel.WorldSize} ranks of a save have to agree on its {nameof(options.SaveId)}.", nameof(options.SaveId));
        }

        if (options is { IsProcessed: true, ModelDType: null })
        {
            throw new ArgumentException($"Processed weights are restored with the {nameof(options.ModelDType)} that the model computes with.", nameof(options.ModelDType));
        }
    }
}
