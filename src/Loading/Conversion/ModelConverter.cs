using System.Collections.Immutable;
using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes the parameters of a model as they are on one rank, in the layout of its architecture and under the model's own names: a window of them at a time, so that the memory it
/// takes does not grow with the model, and whole or not at all. Always safetensors.
/// </summary>
public static class ModelConverter
{
    /// <summary>
    /// Fills a model's parameters from a checkpoint and writes them. A folder gets shards and their index, and configuration and tokenizer beside them, which stay those of the
    /// whole model. Parameters are written as loaders fill them, before quantisation methods change them (<see cref="WeightProcessing"/>); those that need not be there and that
    /// nothing fills are left out.
    /// </summary>
    /// <param name="module">The model, whose parameters have no storage, and have none afterwards; stays the caller's. Not used by others meanwhile.</param>
    /// <param name="checkpoint">The weights; stays open and the caller's. It may be the output itself, if that is replaced.</param>
    /// <param name="output">A file named <c>.safetensors</c>, or a folder; appears whole or not at all.</param>
    /// <param name="options">What is written; null for the defaults.</param>
    /// <param name="progress">Bytes and parameters that are written; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one slot or piece, or one forcing to disk; nothing is left behind.</param>
    /// <exception cref="ArgumentException">An option is out of range, or the output's name is that of another format.</exception>
    /// <exception cref="InvalidOperationException">A parameter has storage already.</exception>
    /// <exception cref="ModelMismatchException">The checkpoint and the model do not fit; the message names parameters, tensors, shapes and ranks.</exception>
    /// <exception cref="UnsupportedCheckpointException">Parameters cannot be written, or parts not be cut out; the message names them.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened, or a header would be too long.</exception>
    /// <exception cref="DeviceMemoryException">The host has not the memory for a window and staging.</exception>
    /// <exception cref="IOException">The output exists and is not replaced, the disk is full, or a read or write failed.</exception>
    /// <exception cref="UnauthorizedAccessException">The output may not be written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<ModelConversionResult> ConvertAsync(
        Module module,
        Checkpoint checkpoint,
        string output,
        ModelConversionOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentException.ThrowIfNullOrEmpty(output);
        options ??= ModelConversionOptions.Default;
        Check(options, output);
        var started = Stopwatch.GetTimestamp();
        var recorded = ModulePlanner.Record(module, checkpoint, options.Load, null, cancellationToken);
        // Of all at once, so that what cannot be cut out is refused before anything is written.
        var plan = recorded.PlanOf();
        var isFolder = CheckpointConverter.IsFolder(output);
        var conversion = new ModelConversion(recorded, options, isFolder);
        ImmutableArray<string> weights, carried = [];
        if (isFolder)
        {
            (weights, carried) = await WriteFolderAsync(conversion, checkpoint, output, options, progress, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await conversion.RunAsync(
                (_, tensors, metadata) => SafetensorsWriter.CreateAsync(output, tensors, metadata, options.Overwrite, cancellationToken),
                progress,
                cancellationToken).ConfigureAwait(false);
            weights = [Path.GetFileName(output)];
        }

        return new ModelConversionResult(
            output,
            weights,
            carried,
            conversion.ParameterCount,
            conversion.TieCount,
            conversion.Batches,
            conversion.BytesRead,
            conversion.BytesToWrite,
            [.. conversion.OmittedMetadata],
            Stopwatch.GetElapsedTime(started))
        {
            Plan = plan,
        };
    }

    private static void Check(ModelConversionOptions options, string output)
    {
        if (!options.Load.Load.Device.IsHost)
        {
            throw new ArgumentException($"Parameters are loaded into host memory to be written, not onto '{options.Load.Load.Device.Id}'.", nameof(options));
        }

        if (options.WindowBytes < 1)
        {
            throw new ArgumentException($"A window must hold at least one byte, not {options.WindowBytes}.", nameof(options));
        }

        ConversionPlan.CheckShardBytes(options.MaximumShardBytes);
        if (CheckpointConverter.FormatOf(output, null) is var format and not OutputFormat.Safetensors)
        {
            throw new ArgumentException(
                $"{Path.GetFileName(output)} is the name of {format.OneFile}, and the parameters of a model are written as {OutputFormat.Safetensors.DisplayName}: "
                + $"name the file {OutputFormat.Safetensors.Extensions[0]}, or give a folder.",
                nameof(options));
        }
    }

    private static async Task<(ImmutableArray<string> Weights, ImmutableArray<string> Carried)> WriteFolderAsync(
        ModelConversion conversion,
        Checkpoint checkpoint,
        string output,
        ModelConversionOptions options,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        var carried = options.CarriedPlace is { } place ? await CarriedFiles.OpenAsync(place, cancellationToken).ConfigureAwait(false)
            : options.CarriedFrom is { } from ? await CarriedFiles.OpenAsync(from).ConfigureAwait(false)
            : await CarriedFiles.OpenBesideAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        await using var closeCarried = carried.ConfigureAwait(false);
        using var folder = AtomicFolder.Create(output, options.Overwrite);
        CheckpointConverter.ThrowIfDiskIsTooSmall(folder.Path, checked(conversion.BytesToWrite + carried.ByteLength));
        var names = conversion.FileNames;
        await conversion.RunAsync(
            (shard, tensors, metadata) => SafetensorsWriter.CreateAsync(folder, names[shard], tensors, metadata, cancellationToken),
            progress,
            cancellationToken).ConfigureAwait(false);
        if (names.Length > 1)
        {
            await folder
                .WriteAllBytesAsync(ShardNames.Index, ShardNames.WriteIndex(conversion.Index(names), conversion.BytesToWrite), cancellationToken).ConfigureAwait(false);
        }

        await carried.CopyAsync(folder, options.ConfigDType, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        folder.Commit();
        return (names, carried.Names);
    }
}
