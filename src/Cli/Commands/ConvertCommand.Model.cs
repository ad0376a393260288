using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <content><c>convert --model</c>: a model's parameters in its architecture's layout.</content>
internal sealed partial class ConvertCommand
{
    private async Task<int> ConvertModelAsync(ParseResult parsed, CommandConsole console, string output, CancellationToken cancellationToken)
    {
        CheckModelOptions(parsed);
        var path = parsed.GetValue(_path)!;
        var checkpointOptions = _checkpoint.Options(parsed);
        var dtype = DTypeOption.Parse(parsed.GetValue(_dtype)!);
        var model = await _model
            .OpenAsync(
                parsed, console, path, weights => Checkpoint.OpenAsync(weights, checkpointOptions, cancellationToken), checkpointOptions, dtype, cancellationToken)
            .ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            WriteWarnings(console, model.Checkpoint.Warnings);
            var choice = _checkpoint.Choice(parsed);
            var load = new LoadOptions { Device = HostDevice.Shared, Include = choice.Include, Exclude = choice.Exclude };
            var options = new ModelConversionOptions
            {
                Load = await _model.OptionsAsync(parsed, load, model, neverStrict: false, cancellationToken).ConfigureAwait(false),
                MaximumShardBytes = MaximumShardBytes(parsed),
                DuplicateTies = parsed.GetValue(_duplicateTies),
                ConfigDType = dtype,
                CarriedFrom = RemoteArguments.FolderOf(path),
                CarriedPlace = await _checkpoint.Remote.PlaceOfAsync(path, cancellationToken).ConfigureAwait(false),
                Overwrite = parsed.GetValue(_force),
            };
            var result = await ProgressDisplay
                .RunAsync(console, "converting", progress => ConvertAsync(model, output, options, progress, cancellationToken)).ConfigureAwait(false);
            WarnOfOmittedMetadata(console, result.OmittedMetadata, OutputFormat.Safetensors);
            WriteModel(console, AddressScheme.WithoutSecrets(path), model, result);
        }

        return ExitCodes.Success;
    }

    private static async Task<ModelConversionResult> ConvertAsync(
        OpenedModel model, string output, ModelConversionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        try
        {
            return await ModelConverter.ConvertAsync(model.Module, model.Checkpoint, output, options, progress, cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception) when (exception.ParamName == nameof(options))
        {
            throw UsageException.From(exception);
        }
    }

    private static void WriteModel(CommandConsole console, string path, OpenedModel model, ModelConversionResult result)
    {
        var report = new ModelReport(model, result.Plan);
        var seconds = result.Elapsed.TotalSeconds;
        if (console.Json)
        {
            var document = new ModelConvertDocument(
                path,
                model.Checkpoint.Path,
                result.Output,
                OutputFormat.Safetensors.Keyword,
                report.Description,
                report.Totals,
                result.Parameters,
                result.Ties,
                result.Batches,
                result.BytesRead,
                result.BytesWritten,
                result.WeightFiles,
                result.CarriedFiles,
                result.OmittedMetadata,
                seconds,
                result.BytesRead / seconds / 1e9,
                result.BytesWritten / seconds / 1e9,
                PeakMemory.Read());
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ModelConvertDocument);
            return;
        }

        var ties = result.Ties > 0 ? $", {Sizes.Count(result.Ties, "tie")}" : "";
        var carried = result.CarriedFiles.IsEmpty ? "" : $" and {Sizes.Count(result.CarriedFiles.Length, "other file")}";
        console.Out.WriteLine(report.Headline(path));
        console.Out.WriteLine(
            $"{Quoted.Plain(result.Output)}: {Sizes.Count(result.Parameters, "parameter")}{ties}, {Sizes.Format(result.BytesRead)} read, "
            + $"{Sizes.Format(result.BytesWritten)} written, in {Sizes.Count(result.WeightFiles.Length, "file")}{carried}");
        WriteRates(console, seconds, result.BytesRead, result.BytesWritten);
        report.WriteGaps(console.Out);
    }

    private void CheckModelOptions(ParseResult parsed)
    {
        if (parsed.GetValue(_device) is not (DeviceCatalog.Auto or DeviceOption.Host))
        {
            throw new UsageException("--model loads into host memory to write from there: --device takes host with it.");
        }

        if (parsed.GetValue(_format) is { } format && format != OutputFormat.Safetensors.Keyword)
        {
            throw new UsageException($"the parameters of a model (--model) are written as {OutputFormat.Safetensors.Keyword} only, not as {format}.");
        }
    }
}
