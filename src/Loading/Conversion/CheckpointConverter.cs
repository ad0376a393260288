using System.Collections.Immutable;
using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes a checkpoint as safetensors, GGUF, a PyTorch file or an archive of NumPy arrays, in another dtype and other shards if wanted: piece by piece, so that the memory it
/// takes does not grow with the model, and whole or not at all.
/// </summary>
public static class CheckpointConverter
{
    private static readonly string[] QuantiserKeys =
        ["qscheme", "q_scale", "q_zero_point", "q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis"];

    // Files of weights that are known by these endings and that nothing here writes; as the name of a new folder they are a slip.
    private static readonly string[] UnwrittenExtensions = [".npy", ".pkl", ".pickle", ".h5", ".onnx", ".ggml"];

    /// <summary>
    /// Whether an output of this name is written as a folder: whatever is not named as a file of a format
    /// (<see cref="OutputFormatExtensions"/>), or is a folder already.
    /// </summary>
    public static bool IsFolder(string output)
    {
        ArgumentNullException.ThrowIfNull(output);
        return FormatOfFile(output) is null || Directory.Exists(output);
    }

    /// <summary>
    /// Whether a file of this base name is one that a converted folder has: a shard, the index, or a file that is carried along.
    /// A folder with others in it is more than a checkpoint, and not to be replaced as one.
    /// </summary>
    public static bool MayReplace(string name) => ShardNames.Includes(name) || CarriedFiles.Includes(name) || RankManifest.IsFileName(name);

    /// <summary>Whether a file of this base name is carried along with the weights: configuration, tokenizer, generation.</summary>
    public static bool IsCarried(string name) => CarriedFiles.Includes(name);

    /// <summary>
    /// Converts a checkpoint. A folder gets an index where there are several shards of safetensors or PyTorch files, and the configuration,
    /// tokenizer and generation files beside the weights. Names of tensors stay unless others are given, and metadata as far as the format has a place
    /// for it: this makes no model of one program into one of another. A rank's share has the configuration of the whole.
    /// </summary>
    /// <param name="checkpoint">The checkpoint; stays open and the caller's. It may be the output itself, if that is replaced.</param>
    /// <param name="output">A file named <c>.safetensors</c>, <c>.gguf</c>, <c>.npz</c>, <c>.pt</c>, <c>.pth</c>, <c>.ckpt</c> or <c>.bin</c>, or a folder; appears whole or not at all.</param>
    /// <param name="options">What is written; null for everything as it is stored.</param>
    /// <param name="progress">Bytes read and tensors written; called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece, or one forcing to disk; nothing is left behind.</param>
    /// <exception cref="ArgumentException">
    /// An option is out of range or contradicts the output's name, or the shard size asks for a file that is too large or for too
    /// many.
    /// </exception>
    /// <exception cref="UnsupportedCheckpointException">Tensors cannot be written as wanted, or not be split; the message names them.</exception>
    /// <exception cref="ModelMismatchException">By the rules for names two tensors become one; the message has both.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened, or a header would be too long.</exception>
    /// <exception cref="DeviceMemoryException">Host or device has not the memory for staging.</exception>
    /// <exception cref="IOException">The output exists and is not replaced, the disk is full, or a read or write failed.</exception>
    /// <exception cref="UnauthorizedAccessException">The output may not be written.</exception>
    public static async Task<ConversionResult> ConvertAsync(
        Checkpoint checkpoint,
        string output,
        ConversionOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentException.ThrowIfNullOrEmpty(output);
        options ??= ConversionOptions.Default;
        if (options.Device.Kind == DeviceKind.Meta)
        {
            throw new ArgumentException($"The device '{options.Device.Id}' has no values to convert; choose one that has, such as host.", nameof(options));
        }

        if (options.Device.Kind == DeviceKind.Group)
        {
            throw new ArgumentException($"One device converts, not each of '{options.Device.Id}': choose one of them.", nameof(options));
        }

        var started = Stopwatch.GetTimestamp();
        var format = FormatOf(output, options);
        var target = ConversionTarget.Of(format, checkpoint, options.DType);
        var plan = ConversionPlan.Make(checkpoint, target, options, IsFolder(output));
        var layout = ConversionLayout.Fit(options, plan);
        var conversion = new Conversion(checkpoint, plan, layout, options, new ProgressTally(progress, plan.BytesToRead, plan.TensorCount));
        var (weights, carried) = IsFolder(output)
            ? await WriteFolderAsync(conversion, target, output, cancellationToken).ConfigureAwait(false)
            : await WriteFileAsync(conversion, target, output, cancellationToken).ConfigureAwait(false);
        return new ConversionResult(
            output,
            weights,
            carried,
            plan.TensorCount,
            plan.Tensors.Count(tensor => tensor.IsConverted),
            plan.TieCount,
            plan.BytesToRead,
            plan.BytesToWrite,
            conversion.Overflows,
            Stopwatch.GetElapsedTime(started),
            layout.Lanes,
            format,
            plan.DuplicateCount,
            plan.DuplicateBytes,
            [.. target.OmittedMetadata],
            plan.SeparatedCount,
            plan.SeparatedBytes,
            FindUnscaled(plan, target))
        {
            SlicedTensors = plan.SlicedCount,
        };
    }

    // What a quantised tensor of a PyTorch file says of itself has its name in front; which of it there is depends on the scheme.
    private static ImmutableArray<string> FindUnscaled(ConversionPlan plan, ConversionTarget target)
    {
        var omitted = target.OmittedMetadata.ToHashSet();
        return [.. plan.Tensors.Select(tensor => tensor.Source.Name).Where(name => QuantiserKeys.Any(key => omitted.Contains($"{name}.{key}")))];
    }

    /// <summary>The format that an output has.</summary>
    /// <param name="output">Its name.</param>
    /// <param name="options">What is asked for; null for nothing.</param>
    /// <exception cref="ArgumentException">Its name is that of another format, or of one that is not written.</exception>
    internal static OutputFormat FormatOf(string output, ConversionOptions? options)
    {
        options ??= ConversionOptions.Default;
        ThrowIfNamedAsUnwritten(output, options);
        var named = IsFolder(output) ? null : FormatOfFile(output);
        return options.Format is { } asked && named is { } other && asked != other
            ? throw new ArgumentException(
                $"{Path.GetFileName(output)} is the name of {other.OneFile}, and {asked.DisplayName} is asked for: "
                + "name the file after the format, or give a folder.",
                nameof(options))
            : options.Format ?? named ?? OutputFormat.Safetensors;
    }

    // Else a folder of another format would appear under the name of a file.
    private static void ThrowIfNamedAsUnwritten(string output, ConversionOptions options)
    {
        if (options.Format is null
            && !Directory.Exists(output)
            && Array.Find(UnwrittenExtensions, extension => output.EndsWith(extension, StringComparison.OrdinalIgnoreCase)) is { } ending)
        {
            var endings = string.Join(", ", Enum.GetValues<OutputFormat>().SelectMany(format => format.Extensions));
            throw new ArgumentException(
                $"{Path.GetFileName(output)} is the name of a {ending} file, which is not written: name a file {endings}, or give a folder "
                + "(with --format, a folder of any name).",
                nameof(options));
        }
    }

    private static OutputFormat? FormatOfFile(string output) =>
        Enum.GetValues<OutputFormat>()
            .Where(format => format.Extensions.Any(extension => output.EndsWith(extension, StringComparison.OrdinalIgnoreCase)))
            .Select(format => (OutputFormat?)format)
            .FirstOrDefault();

    private static async Task<(ImmutableArray<string> Weights, ImmutableArray<string> Carried)> WriteFileAsync(
        Conversion conversion, ConversionTarget target, string output, CancellationToken cancellationToken)
    {
        // Of one file: it takes all its space when it begins, which is before anything is read.
        await conversion.RunAsync(
            _ => target.CreateAsync(output, conversion.Plan, conversion.Options.Overwrite, cancellationToken),
            cancellationToken).ConfigureAwait(false);
        return ([Path.GetFileName(output)], []);
    }

    private static async Task<(ImmutableArray<string> Weights, ImmutableArray<string> Carried)> WriteFolderAsync(
        Conversion conversion, ConversionTarget target, string output, CancellationToken cancellationToken)
    {
        var plan = conversion.Plan;
        var carried = await CarriedFiles.OpenBesideAsync(conversion.Checkpoint, cancellationToken).ConfigureAwait(false);
        await using var closeCarried = carried.ConfigureAwait(false);
        using var folder = AtomicFolder.Create(output, conversion.Options.Overwrite);
        ThrowIfDiskIsTooSmall(folder.Path, checked(plan.BytesToWrite + carried.ByteLength));
        ImmutableArray<string> weights = [.. plan.Shards.Select((_, i) => target.NameOfShard(i, plan.Shards.Length))];
        await conversion.RunAsync(
            shard => target.CreateAsync(folder, plan, shard, cancellationToken), cancellationToken).ConfigureAwait(false);
        if (target.Index is { } index && weights.Length > 1)
        {
            var shards = plan.Shards.SelectMany((shard, i) => target.IndexedNames(shard).Select(name => KeyValuePair.Create(name, weights[i])));
            await folder.WriteAllBytesAsync(index, ShardNames.WriteIndex(shards, plan.BytesToWrite), cancellationToken).ConfigureAwait(false);
        }

        await carried.CopyAsync(folder, conversion.Options.DType, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        folder.Commit();
        return (weights, carried.Names);
    }

    /// <summary>
    /// Tells before the first shard that the last will not fit, without the headers, which are made only then. A shard takes its space when it begins, header included
    /// (<see cref="AtomicFile"/>), so that a full disk is refused in any case.
    /// </summary>
    /// <exception cref="IOException">The disk has not enough space.</exception>
    internal static void ThrowIfDiskIsTooSmall(string folder, long bytes)
    {
        // What is written lies beside the folder until the end, and a folder may be on another disk than the one above.
        if (FreeSpace.Of(Path.GetDirectoryName(folder)!) is { } free && bytes > free)
        {
            throw new IOException(
                $"{folder}: {bytes} bytes are to be written and {free} are free on this disk; choose another one, a smaller --dtype or fewer tensors.");
        }
    }
}
