using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Makes a plan: runs the loaders of a model's parameters on the meta device, and keeps what they write.</summary>
internal static class ModulePlanner
{
    /// <summary>Makes the plan.</summary>
    /// <exception cref="ArgumentException">An option is none that is possible here.</exception>
    /// <exception cref="InvalidOperationException">A parameter has storage already.</exception>
    /// <exception cref="ModelMismatchException">The checkpoint and the model do not fit.</exception>
    /// <exception cref="UnsupportedCheckpointException">A part begins or ends among elements that are stored together and kept so.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static ModulePlan Plan(Module module, Checkpoint checkpoint, ModuleLoadOptions options, CancellationToken cancellationToken) =>
        Record(module, checkpoint, options, null, cancellationToken).PlanOf();

    /// <summary>Runs the loaders, of which plans for some parameters at a time can be made.</summary>
    /// <param name="module">The model.</param>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="options">How the model is loaded.</param>
    /// <param name="keeps">Whether a parameter has storage that stays as it is; null where none has.</param>
    /// <param name="cancellationToken">Ends the planning between two weights.</param>
    /// <inheritdoc cref="Plan" path="/exception"/>
    public static RecordedModule Record(
        Module module, Checkpoint checkpoint, ModuleLoadOptions options, Func<Parameter, bool>? keeps, CancellationToken cancellationToken)
    {
        CheckOptions(options);
        foreach (var (name, parameter) in module.NamedParameters())
        {
            if (!parameter.IsMeta && keeps?.Invoke(parameter) is not true)
            {
                throw new InvalidOperationException($"Parameter {name} has storage already, on {parameter.Data.Device}: load into a model that was just made.");
            }
        }

        using var record = new ModuleRecord(module, options, checkpoint.Path);
        var (copies, fills, calls) = (new List<RecordedCopy>(), new List<RecordedFill>(), new List<(LoaderCall Call, long Bytes)>());
        foreach (var weight in CheckpointWeights.Of(checkpoint, options.GgufNames, mapsNames: !module.TakesStoredNames))
        {
            using (weight)
            {
                cancellationToken.ThrowIfCancellationRequested();
                foreach (var target in record.Route(weight))
                {
                    if (record.Run(weight, target) is not { } call)
                    {
                        continue;
                    }

                    if (call.NeedsValues || WritesOverWhatItCopied(call))
                    {
                        calls.Add((new LoaderCall(target, weight.Name, weight.Stored!.Info, weight.Stored.Transform), BytesOf(weight, call)));
                    }
                    else
                    {
                        Add(weight, call, copies, fills);
                    }
                }
            }
        }

        record.Check();
        return new RecordedModule(module, checkpoint, options, record, copies, fills, calls);
    }

    /// <summary>Checks what a model's load has no use for.</summary>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    internal static void CheckOptions(ModuleLoadOptions options)
    {
        if (options.Load.DType is not null || options.Load.TensorParallel is not null || options.Load.Manifest is not null)
        {
            throw new ArgumentException(
                $"Parameters have dtypes and ranks of their own, and parts of tensors have no hashes: {nameof(LoadOptions.DType)}, {nameof(LoadOptions.TensorParallel)} and "
                + $"{nameof(LoadOptions.Manifest)} are for loads of a checkpoint's own tensors.",
                nameof(ModuleLoadOptions.Load));
        }

        if (options.Load.Device.Kind == DeviceKind.Meta)
        {
            throw new ArgumentException("On the meta device nothing is loaded: a plan shows what would be.", nameof(ModuleLoadOptions.Load));
        }
    }

    // Fills are done before anything is read, and what is read comes in the order of the file: what is written over has to come after what it covers.
    private static bool WritesOverWhatItCopied(RecordedCall call)
    {
        var copied = new Dictionary<int, ParameterCoverage>();
        foreach (var (write, place) in call.Writes)
        {
            if (!copied.TryGetValue(place.Parameter, out var coverage))
            {
                copied.Add(place.Parameter, coverage = new ParameterCoverage(call.ShapeOf(place.Parameter)));
            }

            if (write.Source is null ? coverage.Overlaps(place) : coverage.Add(place, 0, out _) < write.ElementCount)
            {
                return true;
            }
        }

        return false;
    }

    private static void Add(
        Weight weight, RecordedCall call, List<RecordedCopy> copies, List<RecordedFill> fills)
    {
        var info = weight.Stored!.Info;
        foreach (var (write, place) in call.Writes)
        {
            if (write.Source is not { } source)
            {
                fills.Add(new RecordedFill(place, write.Element));
                continue;
            }

            var view = new StoredView(info, [.. source.Shape], source.Strides, source.ByteOffset / source.DType.BlockSize);
            // One element is copied into another whatever their shapes.
            copies.Add(new RecordedCopy(view, place.Shape == source.Shape ? place : place with { Shape = source.Shape, Strides = [.. source.Shape.Select(_ => 1L)] }));
        }
    }

    private static long BytesOf(Weight weight, RecordedCall call)
    {
        var info = weight.Stored!.Info;
        var elements = call.Writes.Where(write => write.Write.Source is not null).Sum(write => write.Write.ElementCount);
        return elements == 0 ? info.DataByteLength : (long)Math.Ceiling((double)elements / info.DType.BlockLength) * info.DType.BlockSize;
    }
}
