using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <content><c>load --model</c>: a model's parameters in its architecture's layout.</content>
internal sealed partial class LoadCommand
{
    private async Task<int> LoadModelAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_verify) is not null || parsed.GetValue(_repeat) != 0 || parsed.GetValue(_checkFinite))
        {
            throw new UsageException("--verify, --repeat and --check-finite are for loads of a checkpoint's own tensors, without --model.");
        }

        var path = parsed.GetValue(_path)!;
        var checkpointOptions = _checkpoint.Options(parsed);
        var load = _load.Options(parsed, console, _checkpoint.Choice(parsed));
        var started = Stopwatch.GetTimestamp();
        var model = await _model
            .OpenAsync(
                parsed,
                console,
                path,
                weights => _load.OpenAsync(parsed, console, weights, checkpointOptions, cancellationToken),
                checkpointOptions,
                load.DType,
                cancellationToken)
            .ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            var opened = Stopwatch.GetElapsedTime(started);
            WriteWarnings(console, model.Checkpoint.Warnings);
            started = Stopwatch.GetTimestamp();
            var options = await _model.OptionsAsync(parsed, load, model, neverStrict: false, cancellationToken).ConfigureAwait(false);
            var plan = ModelArguments.MakePlan(model, options, cancellationToken);
            var planned = Stopwatch.GetElapsedTime(started);
            _load.WarnIfLanesDoNotFit(console, plan.Reads);
            if (console.Verbose)
            {
                await console.Error.WriteLineAsync(plan.ToString()).ConfigureAwait(false);
            }

            var statistics = await ProgressDisplay
                .RunAsync(console, "loading", progress => new ModuleLoader().LoadAsync(plan, progress, cancellationToken)).ConfigureAwait(false);
            started = Stopwatch.GetTimestamp();
            WeightProcessing.Run(model.Module, model.Context.DType, plan.Reads.Device, cancellationToken);
            var processed = Stopwatch.GetElapsedTime(started);
            WriteModel(console, AddressScheme.WithoutSecrets(path), model, plan, statistics, (opened, planned, processed));
        }

        return ExitCodes.Success;
    }

    private static void WriteModel(
        CommandConsole console, string path, OpenedModel model, ModulePlan plan, LoadStatistics load, (TimeSpan Opened, TimeSpan Planned, TimeSpan Processed) times)
    {
        var report = new ModelReport(model, plan);
        var bytes = model.Module.NamedParameters().Sum(entry => entry.Parameter.Data.ByteLength);
        var peak = PeakMemory.Read();
        if (console.Json)
        {
            var timed = new TimedLoad(
                load.Elapsed.TotalSeconds,
                load.ReadBytesPerSecond / 1e9,
                PerLane(load.FirstTouch, load).TotalSeconds,
                PerLane(load.Reading, load).TotalSeconds,
                null,
                PerLane(load.Placing, load).TotalSeconds,
                load.ReadMode);
            var document = new ModelLoadDocument(
                path,
                plan.Checkpoint.Path,
                plan.Reads.Device.Id,
                report.Description,
                report.Totals,
                report.Reads,
                times.Opened.TotalSeconds,
                times.Planned.TotalSeconds,
                timed,
                times.Processed.TotalSeconds,
                bytes,
                peak);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.ModelLoadDocument);
            return;
        }

        console.Out.WriteLine($"{report.Headline(path)} on {DeviceOption.Describe(plan.Reads.Device)}");
        if (bytes != plan.ParameterBytes)
        {
            console.Out.WriteLine($"  {Sizes.Format(bytes)} after quantisation methods");
        }

        console.Out.WriteLine(
            $"  {Sizes.Format(plan.Reads.BytesToRead + plan.ValueBytes)} read ({load.ReadMode}) in {load.Elapsed.TotalSeconds:0.000} s, {load.ReadBytesPerSecond / 1e9:0.00} GB/s, "
            + $"{Sizes.Count(plan.Reads.Staging.Lanes, "lane")}");
        console.Out.WriteLine(
            $"  opened in {times.Opened.TotalSeconds:0.000} s, planned in {times.Planned.TotalSeconds:0.000} s, processed in {times.Processed.TotalSeconds:0.000} s, peak memory {Sizes.Format(peak)}");
        report.WriteSkipped(console.Out);
    }
}
