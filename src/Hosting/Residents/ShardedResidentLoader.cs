using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Loads what each rank has saved of an architecture's parameters.</summary>
internal sealed class ShardedResidentLoader(HostedModelSettings settings, Func<Device> device, WarningLog warnings, TimeProvider time)
    : LayoutResidentLoader(settings, device, warnings, time)
{
    private readonly ShardedStateLoader _loader = settings.CreateShardedStateLoader();

    /// <inheritdoc/>
    public override async Task<ResidentModel> LoadAsync(LoadRun run, long versionsBefore, CancellationToken cancellationToken)
    {
        ModelConfig config;
        DType? savedFor;
        string? saveId;
        string format;
        long bytes;
        using (run.Stage(LoadStage.Open))
        {
            config = await ModelConfig.OpenAsync(Settings.Path, Settings.Open, cancellationToken).ConfigureAwait(false);
            var state = await _loader.OpenAsync(WeightsPath, Settings.Parallel?.Rank ?? 0, cancellationToken).ConfigureAwait(false);
            await using var close = state.ConfigureAwait(false);
            // What is loaded below is what was looked at here, or an error. Processed weights are of the dtype that the model computed with.
            (savedFor, saveId, bytes) = (state.ProcessedFor, state.Manifest?.SaveId, state.Checkpoint.TensorBytes);
            format = state.Checkpoint.Format;
            foreach (var warning in state.Warnings)
            {
                Warnings.WarnOnce(warning);
            }
        }

        var target = OpenDevice();
        var context = ContextOf(config).WithDType(Settings.DType ?? savedFor).WithQuantization();
        return await MakeAsync(context, target, format, versionsBefore, async module =>
        {
            var options = new ShardedStateLoadOptions { Load = LoadOnto(target), Warnings = Warnings, Verify = Settings.Options.Verify, SaveId = saveId };
            run.Planned(
                [.. module.NamedParameters().Select(entry => new HostedTensor(entry.Name, entry.Parameter.DType, entry.Parameter.Shape, entry.Parameter.DType.ByteCount(entry.Parameter.Shape.ElementCount)))],
                target,
                format,
                bytes);
            using (run.Stage(LoadStage.Load))
            {
                var loaded = await _loader.LoadAsync(module, WeightsPath, Settings.Parallel, options, run, cancellationToken).ConfigureAwait(false);
                run.Read(loaded.BytesRead);
            }
        }).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override Task<ReloadOptions> ReloadOptionsAsync(CancellationToken cancellationToken) =>
        Task.FromResult(new ReloadOptions { Load = Settings.Load, Warnings = Warnings });

    /// <inheritdoc/>
    protected override async Task<ReloadReport> ReloadAsync(HotModel model, ReloadOptions options, IProgress<LoadProgress> progress, CancellationToken cancellationToken)
    {
        var state = await _loader.OpenAsync(WeightsPath, Settings.Parallel?.Rank ?? 0, cancellationToken).ConfigureAwait(false);
        await using var close = state.ConfigureAwait(false);
        return await model.ReloadAsync(state, options, Settings.Options.Verify, progress, cancellationToken).ConfigureAwait(false);
    }
}
