using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Loads a checkpoint's own tensors; a reload makes others, so that what is leased stays as it is.</summary>
internal sealed class CheckpointResidentLoader(HostedModelSettings settings, Func<Device> device, WarningLog warnings) : ResidentLoader
{
    private readonly CheckpointLoader _loader = new();

    /// <inheritdoc/>
    public override bool MakesAnother => true;

    /// <inheritdoc/>
    protected override string WeightsPath => settings.Path;

    /// <inheritdoc/>
    public override async Task<ResidentModel> LoadAsync(LoadRun run, long versionsBefore, CancellationToken cancellationToken)
    {
        Checkpoint checkpoint;
        TensorManifest? manifest;
        using (run.Stage(LoadStage.Open))
        {
            manifest = settings.Options.Manifest is { } path ? await TensorManifest.ReadAsync(path, cancellationToken).ConfigureAwait(false) : null;
            checkpoint = await Checkpoint.OpenAsync(settings.Path, settings.Open, cancellationToken).ConfigureAwait(false);
        }

        await using var close = checkpoint.ConfigureAwait(false);
        foreach (var warning in checkpoint.Warnings)
        {
            warnings.WarnOnce(warning.ToString());
        }

        LoadPlan plan;
        Device target;
        using (run.Stage(LoadStage.Plan))
        {
            target = device();
            plan = _loader.Plan(checkpoint, settings.Load with { Device = target, DType = settings.DType, TensorParallel = settings.Parallel, Manifest = manifest });
            if (plan.Tensors.IsEmpty && checkpoint.Tensors.Length > 0)
            {
                warnings.WarnOnce($"None of the {checkpoint.Tensors.Length} tensors is chosen by Include and Exclude.");
            }
        }

        // A format has one name for all files of a checkpoint.
        var (format, tensors) = (checkpoint.Format, plan.Tensors.Select(tensor => new HostedTensor(tensor.Name, tensor.DType, tensor.Shape, tensor.ByteLength)));
        run.Planned([.. tensors], target, format, plan.BytesToRead);
        LoadedModel model;
        using (run.Stage(LoadStage.Load))
        {
            model = await _loader.LoadAsync(plan, run, cancellationToken).ConfigureAwait(false);
        }

        run.Read(model.Statistics);
        return new CheckpointResident(settings.Name, model, versionsBefore + 1)
        {
            Tensors = run.Tensors,
            // Ties, blocks and slabs are one memory under several names.
            MemoryBytes = model.Select(entry => entry.Tensor.Memory).Distinct().Sum(memory => memory.Length),
            Device = target,
            Format = format,
        };
    }
}
