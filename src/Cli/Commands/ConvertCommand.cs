using System.Collections.Immutable;
using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Writes a checkpoint as safetensors, GGUF, a PyTorch file (.pt) or an archive of NumPy arrays (.npz), in another dtype and other shards.</summary>
internal sealed partial class ConvertCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly Argument<string> _output = new Argument<string>("OUT")
    {
        Description = "A file named .safetensors, .gguf, .npz, .pt, .pth, .ckpt or .bin, or a folder, which gets shards, their index, and the configuration, tokenizer "
            + "and generation files beside the weights. It appears whole or not at all.",
    }.LocalOnly();

    private readonly CheckpointArguments _checkpoint = new(RemoteAccess.Cache);
    private readonly Option<string> _dtype = DTypeOption.Create();
    private readonly Option<string?> _format = CreateFormatOption();
    private readonly Option<string?> _maximumShardSize = new("--max-shard-size")
    {
        Description = "The most tensor data in one shard of a folder, such as 2GB; by default 5GB.",
        HelpName = "SIZE",
    };

    private readonly Option<bool> _duplicateTies = new("--duplicate-ties")
    {
        Description = "Write tensors that share their bytes in full, each of them, instead of naming them as ties in the metadata "
            + "(safetensors) or as views of one storage (PyTorch); in GGUF and npz they always are.",
    };

    private readonly Option<string> _device = DeviceOption.Create("The device that converts.");
    private readonly ModelArguments _model = new("Write the share that --rank has of N tensor-parallel ranks: of each tensor by its name, or with --model of each parameter.", asksLauncher: true);
    private readonly Option<bool> _force = new("--force") { Description = "Replace the output if it exists; a folder only where it has nothing but a checkpoint in it." };

    /// <inheritdoc/>
    public override string Name => "convert";

    /// <inheritdoc/>
    protected override string Description =>
        "Writes a checkpoint as safetensors, GGUF, a PyTorch file or an archive of NumPy arrays: in another dtype, in one file or in shards, with the tensors that are chosen. "
        + "Streams, so that memory does not grow with the model. Names and metadata are carried over as they are, unless --map gives other names, which makes no model "
        + "for one program out of another's. With --model, what is written are the parameters as the architecture lays them out, as they are loaded and before a quantisation "
        + "method changes them, in safetensors. The configuration that is carried along stays that of the whole model, also with --tp.";

    /// <inheritdoc/>
    public override string Example => "convert models/llama models/llama-fp8 --dtype f8_e4m3 --max-shard-size 2GB";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_output);
        command.Add(_format);
        command.Add(_dtype);
        command.Add(_maximumShardSize);
        command.Add(_duplicateTies);
        command.Add(_device);
        command.Add(_force);
        _model.AddTo(command);
        _checkpoint.AddTo(command);
        _checkpoint.Remote.AddStreamTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        _model.Check(parsed, mapsTensors: true);
        var output = parsed.GetValue(_output)!;
        if (CheckpointConverter.IsFolder(output))
        {
            if (parsed.GetValue(_force))
            {
                await OutputFolder.ThrowIfOthersWouldGoAsync(output, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                OutputFolder.ThrowIfNotEmpty(output);
            }
        }

        return _model.IsAsked(parsed)
            ? await ConvertModelAsync(parsed, console, output, cancellationToken).ConfigureAwait(false)
            : await ConvertTensorsAsync(parsed, console, output, cancellationToken).ConfigureAwait(false);
    }

    private async Task<int> ConvertTensorsAsync(ParseResult parsed, CommandConsole console, string output, CancellationToken cancellationToken)
    {
        var options = Options(parsed, console);
        var checkpoint = await Checkpoint.OpenAsync(parsed.GetValue(_path)!, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            WriteWarnings(console, checkpoint.Warnings);
            options = options with { Names = await ReadNamesAsync(parsed, checkpoint, cancellationToken).ConfigureAwait(false) };
            if (parsed.GetValue(_device) == DeviceCatalog.Auto && ConvertsAny(checkpoint, options))
            {
                options = options with { Device = DeviceOption.Open(console, DeviceCatalog.Auto) };
            }

            var result = await ProgressDisplay
                .RunAsync(console, "converting", progress => ConvertAsync(checkpoint, output, options, progress, cancellationToken)).ConfigureAwait(false);
            _checkpoint.WarnIfNothingChosen(console, result.Tensors, checkpoint.Tensors.Length);
            _model.WarnIfNothingIsSplit(console, options.TensorParallel, result.SlicedTensors, result.Tensors, "has");
            if (result.ConvertedTensors > 0 && checkpoint.Config?.QuantizationMethod is { } method)
            {
                console.Warn(
                    $"the configuration says that the weights are quantised ({Quoted.Plain(method)}): the stored numbers were converted, their scales not applied.");
            }

            WarnOfOverflows(console, options, result);
            WarnOfWhatTheFormatHasNot(console, result);
            WarnOfUnscaled(console, result);
            Write(console, checkpoint, options, result);
        }

        return ExitCodes.Success;
    }

    private static bool ConvertsAny(Checkpoint checkpoint, ConversionOptions options) =>
        options.DType is { } dtype
        && checkpoint.Tensors.Any(tensor => tensor.DType.HoldsFloats && tensor.DType != dtype && options.Choice.Includes(tensor.Name));

    private ConversionOptions Options(ParseResult parsed, CommandConsole console)
    {
        // A GPU takes seconds to open: the best device is looked for when it is known that there is something to convert.
        var device = parsed.GetValue(_device)!;
        return new ConversionOptions
        {
            Format = parsed.GetValue(_format) is { } keyword ? Array.Find(Enum.GetValues<OutputFormat>(), format => format.Keyword == keyword) : null,
            DType = DTypeOption.Parse(parsed.GetValue(_dtype)!),
            Choice = _checkpoint.Choice(parsed),
            DuplicateTies = parsed.GetValue(_duplicateTies),
            Device = DeviceOption.Open(console, device == DeviceCatalog.Auto ? DeviceOption.Host : device),
            Overwrite = parsed.GetValue(_force),
            MaximumShardBytes = MaximumShardBytes(parsed),
            // What is written is one rank's, which has to be known.
            TensorParallel = _model.Parallel(parsed),
        };
    }

    private long? MaximumShardBytes(ParseResult parsed) =>
        parsed.GetValue(_maximumShardSize) is not { } size ? null
        : Sizes.TryParse(size, out var bytes) ? bytes
        : throw new UsageException($"{_maximumShardSize.Name} takes a size such as 2GB, not '{size}'.");

    // What a map of a GGUF file's names says is how its tensors become a model's, which takes more than other names.
    private async Task<WeightNameMapper?> ReadNamesAsync(ParseResult parsed, Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        if (_model.Map(parsed) is not { } file)
        {
            return null;
        }

        return checkpoint.Files[0].Header is GgufHeader
            ? throw new UsageException("--map of a GGUF checkpoint says how its tensors become a model's parameters: give --model too, which lays these out.")
            : await WeightNameMapper.ReadAsync(file, cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    // What the converter refuses among the options is what the user typed.
    private static async Task<ConversionResult> ConvertAsync(
        Checkpoint checkpoint, string output, ConversionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        try
        {
            return await CheckpointConverter.ConvertAsync(checkpoint, output, options, progress, cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception) when (exception.ParamName == nameof(options))
        {
            throw UsageException.From(exception);
        }
    }

    private static Option<string?> CreateFormatOption()
    {
        var names = Enum.GetValues<OutputFormat>().Select(format => format.Keyword).ToArray();
        var option = new Option<string?>("--format")
        {
            Description = $"What a folder is written as: {string.Join(", ", names[..^1])} or {names[^1]}; by default {OutputFormat.Safetensors.Keyword}. A file's name says it itself.",
            HelpName = "FORMAT",
        };
        option.AcceptOnlyFromAmong(names);
        return option;
    }

    private static void WarnOfWhatTheFormatHasNot(CommandConsole console, ConversionResult result)
    {
        var format = result.Format.DisplayName;
        if (result.DuplicatedTensors > 0)
        {
            console.Warn(
                $"{format} has no ties: {Sizes.Count(result.DuplicatedTensors, "tensor")} that "
                + $"{(result.DuplicatedTensors == 1 ? "shares its bytes with another is" : "share their bytes with others are")} written in full, "
                + $"{Sizes.Format(result.DuplicatedBytes)} more. Readers that tie them themselves need none of it: see --exclude.");
        }

        if (result.SeparatedTensors > 0)
        {
            console.Warn(
                $"views are written in full, each by itself: {Sizes.Count(result.SeparatedTensors, "tensor")} with elements that are stored once "
                + $"and seen several times {(result.SeparatedTensors == 1 ? "takes" : "take")} {Sizes.Format(result.SeparatedBytes)} more.");
        }

        WarnOfOmittedMetadata(console, result.OmittedMetadata, result.Format);
    }

    private static void WarnOfOmittedMetadata(CommandConsole console, ImmutableArray<string> omitted, OutputFormat format)
    {
        const int shown = 3;
        if (!omitted.IsEmpty)
        {
            var names = string.Join(", ", omitted.Take(shown).Select(Quoted.Name));
            var more = omitted.Length > shown ? $" and {omitted.Length - shown} more" : "";
            console.Warn(
                $"{(omitted.Length == 1 ? "one metadata entry has" : $"{Sizes.Count(omitted.Length)} metadata entries have")} "
                + $"no place in {format.OneFile} and {(omitted.Length == 1 ? "is" : "are")} left out: {names}{more}.");
        }
    }

    private static void WarnOfUnscaled(CommandConsole console, ConversionResult result)
    {
        const int shown = 3;
        if (!result.UnscaledTensors.IsEmpty)
        {
            var names = string.Join(", ", result.UnscaledTensors.Take(shown).Select(Quoted.Name));
            var more = result.UnscaledTensors.Length > shown ? $" and {result.UnscaledTensors.Length - shown} more" : "";
            console.Warn(
                $"{Sizes.Count(result.UnscaledTensors.Length, "quantised tensor")} {(result.UnscaledTensors.Length == 1 ? "was" : "were")} written as stored integers, "
                + $"which mean nothing without scale and zero point, and these have no place in {result.Format.OneFile}: {names}{more}.");
        }
    }

    private static void WarnOfOverflows(CommandConsole console, ConversionOptions options, ConversionResult result)
    {
        const int shown = 3;
        if (!result.Overflows.IsEmpty)
        {
            var names = string.Join(", ", result.Overflows.Take(shown).Select(overflow => $"{Quoted.Name(overflow.Tensor)} ({Sizes.Count(overflow.Values)})"));
            var more = result.Overflows.Length > shown ? $" and {result.Overflows.Length - shown} more" : "";
            console.Warn(
                $"{Sizes.Count(result.Overflows.Sum(overflow => overflow.Values), "value")} of {Sizes.Count(result.Overflows.Length, "tensor")} "
                + $"{(result.Overflows.Sum(overflow => overflow.Values) == 1 ? "is" : "are")} beyond {DTypeOption.NameOf(options.DType!.Value)} and became infinite or NaN: {names}{more}.");
        }
    }

    private static void Write(CommandConsole console, Checkpoint checkpoint, ConversionOptions options, ConversionResult result)
    {
        var dtype = options.DType is { } target ? DTypeOption.NameOf(target) : DTypeOption.Keep;
        var seconds = result.Elapsed.TotalSeconds;
        if (console.Json)
        {
            var document = new ConvertDocument(
                checkpoint.Path,
                result.Output,
                dtype,
                options.Device.Id,
                result.Tensors,
                result.ConvertedTensors,
                result.Ties,
                result.BytesRead,
                result.BytesWritten,
                result.WeightFiles,
                result.CarriedFiles,
                [.. result.Overflows.Select(overflow => new OverflowedTensor(overflow.Tensor, overflow.Values))],
                result.Lanes,
                seconds,
                result.BytesRead / seconds / 1e9,
                result.BytesWritten / seconds / 1e9,
                PeakMemory.Read(),
                result.Format.Keyword,
                result.DuplicatedTensors,
                result.DuplicatedBytes,
                result.OmittedMetadata,
                result.SeparatedTensors > 0 ? result.SeparatedTensors : null,
                result.SeparatedTensors > 0 ? result.SeparatedBytes : null,
                result.UnscaledTensors.IsEmpty ? null : result.UnscaledTensors,
                options.TensorParallel is { } rank ? new PlannedRank(rank.WorldSize, rank.Rank) : null,
                options.TensorParallel is null ? null : result.SlicedTensors);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ConvertDocument);
            return;
        }

        var ties = result.Ties > 0 ? $", {Sizes.Count(result.Ties, "tie")}" : "";
        var carried = result.CarriedFiles.IsEmpty ? "" : $" and {Sizes.Count(result.CarriedFiles.Length, "other file")}";
        console.Out.WriteLine(
            $"{Quoted.Plain(result.Output)}: {Sizes.Count(result.Tensors, "tensor")}{ties}, {Sizes.Format(result.BytesRead)} read, "
            + $"{Sizes.Format(result.BytesWritten)} written"
            + (options.DType is null ? " as stored" : $", {Sizes.Count(result.ConvertedTensors)} converted to {dtype}")
            + (options.TensorParallel is { } parallel ? $", {Sizes.Count(result.SlicedTensors)} of them shares of rank {parallel.Rank} of {parallel.WorldSize}" : "")
            + $", in {Sizes.Count(result.WeightFiles.Length, "file")}{carried}");
        WriteRates(console, seconds, result.BytesRead, result.BytesWritten);
    }

    private static void WriteRates(CommandConsole console, double seconds, long bytesRead, long bytesWritten) => console.Out.WriteLine(
        $"{seconds:0.0} s, {bytesRead / seconds / 1e9:0.00} GB/s read, {bytesWritten / seconds / 1e9:0.00} GB/s written, peak memory {Sizes.Format(PeakMemory.Read())}");
}
