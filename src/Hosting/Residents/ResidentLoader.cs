using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Brings a model into memory, and new weights into it. Safe for any thread; one call at a time for a model.</summary>
internal abstract class ResidentLoader
{
    /// <summary>The loader of a layout.</summary>
    /// <param name="settings">What is loaded.</param>
    /// <param name="device">Opens the device that it goes to.</param>
    /// <param name="warnings">Where warnings go.</param>
    /// <param name="time">What measures time.</param>
    public static ResidentLoader Of(HostedModelSettings settings, Func<Device> device, WarningLog warnings, TimeProvider time) => settings.Options.Layout switch
    {
        HostedLayout.Checkpoint => new CheckpointResidentLoader(settings, device, warnings),
        HostedLayout.Model => new ModelResidentLoader(settings, device, warnings, time),
        HostedLayout.Sharded => new ShardedResidentLoader(settings, device, warnings, time),
        var other => throw new ArgumentOutOfRangeException(nameof(settings), other, "There is no such layout."),
    };

    /// <summary>Loads the model.</summary>
    /// <param name="run">Is told of stages and progress.</param>
    /// <param name="versionsBefore">The hosted model's version before.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot; everything is freed.</param>
    public abstract Task<ResidentModel> LoadAsync(LoadRun run, long versionsBefore, CancellationToken cancellationToken);

    /// <summary>Whether a reload makes another resident model, which takes the place of the old one; else weights are replaced in it.</summary>
    public virtual bool MakesAnother => false;

    /// <summary>Replaces the weights of a model that is there.</summary>
    /// <param name="run">Is told of stages and progress.</param>
    /// <param name="model">What <see cref="LoadAsync"/> has made.</param>
    /// <param name="cancellationToken">Ends the reload; no layer is left half done.</param>
    /// <returns>How many layers kept their old weights.</returns>
    /// <exception cref="NothingReplacedException">All layers did.</exception>
    /// <exception cref="ReloadFailedException">It ended early.</exception>
    /// <exception cref="ReloadCanceledException">It was cancelled.</exception>
    public virtual async Task<int> ReloadAsync(LoadRun run, ResidentModel model, CancellationToken cancellationToken)
    {
        var options = await ReloadOptionsAsync(cancellationToken).ConfigureAwait(false);
        // What is loaded is what is there, as far as anybody knows; how many bytes that takes shows with the progress.
        run.Planned(model.Tensors, model.Device, model.Format, model.Tensors.Sum(tensor => tensor.Bytes));
        using (run.Stage(LoadStage.Reload))
        {
            var report = await ReloadAsync(((HotResident)model).Model, options, run, cancellationToken).ConfigureAwait(false);
            run.Read(report.BytesRead);
            return report.NewLayers.Any() || report.Layers.IsEmpty
                ? report.Layers.Count(layer => layer.Outcome != LayerOutcome.New)
                : throw new NothingReplacedException(AddressScheme.WithoutSecrets(WeightsPath), report);
        }
    }

    /// <summary>Replaces the weights of a live model.</summary>
    /// <inheritdoc cref="ReloadAsync(LoadRun, ResidentModel, CancellationToken)"/>
    /// <param name="model">The live model.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Is told of progress.</param>
    /// <param name="cancellationToken">Ends the reload; no layer is left half done.</param>
    protected virtual Task<ReloadReport> ReloadAsync(HotModel model, ReloadOptions options, IProgress<LoadProgress> progress, CancellationToken cancellationToken) =>
        model.ReloadAsync(WeightsPath, options, progress, cancellationToken);

    /// <summary>Where the weights are.</summary>
    protected abstract string WeightsPath { get; }

    /// <summary>How weights are replaced.</summary>
    protected virtual Task<ReloadOptions> ReloadOptionsAsync(CancellationToken cancellationToken) => Task.FromResult(ReloadOptions.Default);
}
