using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Loads a checkpoint into the layout of its model's architecture.</summary>
internal sealed class ModelResidentLoader(HostedModelSettings settings, Func<Device> device, WarningLog warnings, TimeProvider time)
    : LayoutResidentLoader(settings, device, warnings, time)
{
    private readonly ModuleLoader _loader = new();

    // A layout of a file's own names has no use for those of transformers; which it is shows when the model is made.
    private bool _mapsGgufNames;

    /// <inheritdoc/>
    public override async Task<ResidentModel> LoadAsync(LoadRun run, long versionsBefore, CancellationToken cancellationToken)
    {
        Checkpoint checkpoint;
        ModelConfig config;
        using (run.Stage(LoadStage.Open))
        {
            checkpoint = await Checkpoint.OpenAsync(WeightsPath, Settings.Open, cancellationToken).ConfigureAwait(false);
            try
            {
                config = Settings.Options.Weights is null
                    ? checkpoint.Config ?? GgufConfiguration.Of(checkpoint)
                    : await ModelConfig.OpenAsync(Settings.Path, Settings.Open, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await checkpoint.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        await using var close = checkpoint.ConfigureAwait(false);
        foreach (var warning in checkpoint.Warnings)
        {
            Warnings.WarnOnce(warning.ToString());
        }

        var target = OpenDevice();
        var format = checkpoint.Format;
        var context = (ContextOf(config) with { Checkpoint = checkpoint }).WithDType(Settings.DType).WithQuantization();
        return await MakeAsync(context, target, format, versionsBefore, async module =>
        {
            _mapsGgufNames = checkpoint.Files[0].Header is GgufHeader && !module.TakesStoredNames;
            ModulePlan plan;
            using (run.Stage(LoadStage.Plan))
            {
                var (rename, ggufNames) = await NamesAsync(cancellationToken).ConfigureAwait(false);
                var options = new ModuleLoadOptions { Load = LoadOnto(target), IsStrict = Settings.Options.Strict, Warnings = Warnings, Rename = rename, GgufNames = ggufNames };
                plan = _loader.Plan(module, checkpoint, options, cancellationToken);
            }

            run.Planned(
                [.. plan.Parameters.Where(parameter => parameter.HasStorage).Select(parameter => new HostedTensor(parameter.Name, parameter.DType, parameter.Shape, parameter.ByteLength))],
                target,
                format,
                plan.Reads.BytesToRead);
            using (run.Stage(LoadStage.Load))
            {
                run.Read(await _loader.LoadAsync(plan, run, cancellationToken).ConfigureAwait(false));
            }

            using (run.Stage(LoadStage.Process))
            {
                WeightProcessing.Run(module, context.DType, target, cancellationToken);
            }
        }).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override async Task<ReloadOptions> ReloadOptionsAsync(CancellationToken cancellationToken)
    {
        var (rename, ggufNames) = await NamesAsync(cancellationToken).ConfigureAwait(false);
        return new ReloadOptions { Load = Settings.Load, Rename = rename, GgufNames = ggufNames, Warnings = Warnings };
    }

    private async ValueTask<(Func<string, string?>? Rename, GgufNameMap? GgufNames)> NamesAsync(CancellationToken cancellationToken) =>
        Settings.Options.Map is not { } file ? (null, null)
        : _mapsGgufNames ? (null, await GgufNameMap.ReadAsync(file, cancellationToken: cancellationToken).ConfigureAwait(false))
        : ((await WeightNameMapper.ReadAsync(file, cancellationToken: cancellationToken).ConfigureAwait(false)).Map, null);
}
