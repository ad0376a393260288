using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Fills the parameters of a model: plans what this rank needs of a checkpoint and loads it, or takes weights one after the other from any sequence. Without state; safe for any
/// thread, as long as each model is one's own.
/// </summary>
/// <remarks>
/// A load gives the parameters their storage when all of it is filled: after a failure or a cancellation they are as they were, and nothing stays allocated.
/// </remarks>
[SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "An instance is what services register and tests replace.")]
public sealed class ModuleLoader
{
    /// <summary>Plans: runs the loaders of a model's parameters without a byte being read, and finds what has to be read for this rank.</summary>
    /// <param name="module">The model, whose parameters have no storage yet.</param>
    /// <param name="checkpoint">The checkpoint; stays open until the plan is carried out.</param>
    /// <param name="options">Where to and how; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the planning between two weights.</param>
    /// <exception cref="ArgumentException">An option is out of range, or none that is possible here.</exception>
    /// <exception cref="InvalidOperationException">A parameter has storage already.</exception>
    /// <exception cref="ModelMismatchException">The checkpoint and the model do not fit: the message names parameters, tensors, shapes and ranks.</exception>
    /// <exception cref="UnsupportedCheckpointException">A part begins or ends among elements that are stored together and kept so, or there is no map of names.</exception>
    /// <exception cref="InvalidCheckpointException">A map of names does not fit the tensors.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ModulePlan Plan(Module module, Checkpoint checkpoint, ModuleLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(checkpoint);
        return ModulePlanner.Plan(module, checkpoint, options ?? ModuleLoadOptions.Default, cancellationToken);
    }

    /// <summary>Carries a plan out: afterwards every parameter of its model has its storage on the device of the plan, but for optional ones that nothing fills.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="progress">Counts bytes, and the pieces of <see cref="ModulePlan.Reads"/>. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <returns>What was done and how long it took.</returns>
    /// <exception cref="InvalidOperationException">The plan was carried out before, so that its parameters have storage.</exception>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold the parameters and the staging memory.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed; the message names tensor, file and offset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<LoadStatistics> LoadAsync(
        ModulePlan plan, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.Entries.FirstOrDefault(entry => !entry.Parameter.IsMeta) is { Parameter: not null } loaded)
        {
            throw new InvalidOperationException($"Parameter {loaded.Name} has storage already: a plan is carried out once.");
        }

        plan.Reads.ThrowIfTooLarge(checked(plan.ParameterBytes + plan.PassingBytes));
        using var storage = new ParameterStorage(plan.Entries, plan.Reads.Device, i => plan.Parameters[i].HasStorage, cancellationToken);
        for (var i = 0; i < plan.Parameters.Length; i++)
        {
            if (plan.Parameters[i] is { HasStorage: true, IsWritten: false })
            {
                storage.Clear(i);
            }
        }

        foreach (var fill in plan.Fills)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var place = fill.Place.On(storage.Tensors[fill.Place.Parameter]);
            place.Fill(fill.Element.Span);
        }

        var statistics = await CheckpointLoader
            .LoadPiecesAsync(
                plan.Reads,
                [.. storage.Tensors.Select(tensor => tensor.Memory)],
                plan.PassingBytes,
                (index, piece) => plan.Passing[index].Copy(piece, storage.Tensors[plan.Passing[index].Place.Parameter]),
                progress,
                cancellationToken)
            .ConfigureAwait(false);
        foreach (var repeat in plan.Repeats)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var from = repeat.From.On(storage.Tensors[repeat.From.Parameter]);
            using var to = repeat.To.On(storage.Tensors[repeat.To.Parameter]);
            to.CopyFrom(from);
        }

        foreach (var call in plan.Calls)
        {
            using var weight = Weight.Lazy(call.Info, call.Name, call.Transform);
            await RunAsync(weight, call.Target, storage, plan.Options.Load, cancellationToken).ConfigureAwait(false);
        }

        storage.Give();
        return statistics;
    }

    /// <summary>
    /// Takes weights from a sequence, as the iterators give them, and fills the parameters one weight after the other. Of lazy weights only what a loader asks
    /// for is read.
    /// </summary>
    /// <param name="module">The model, whose parameters have no storage yet.</param>
    /// <param name="weights">The weights; each is disposed when its loaders have run.</param>
    /// <param name="options">Where to and how; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the load between two weights, and the sequence as soon as it ends.</param>
    /// <returns>The parameters and what has filled them.</returns>
    /// <inheritdoc cref="Plan" path="/exception"/>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold the parameters.</exception>
    public async Task<IReadOnlyList<PlannedParameter>> LoadAsync(
        Module module, IAsyncEnumerable<Weight> weights, ModuleLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(weights);
        options ??= ModuleLoadOptions.Default;
        ModulePlanner.CheckOptions(options);
        using var record = new ModuleRecord(module, options, null);
        using var storage = new ParameterStorage([.. module.NamedParameters()], options.Load.Device, _ => true, cancellationToken);
        for (var i = 0; i < storage.Tensors.Count; i++)
        {
            storage.Clear(i);
        }

        await foreach (var weight in weights.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            using (weight)
            {
                foreach (var target in record.Route(weight))
                {
                    if (IsTaken(weight, target, record))
                    {
                        await RunAsync(weight, target, storage, options.Load, cancellationToken).ConfigureAwait(false);
                    }
                }
            }
        }

        record.Check();
        var parameters = record.Parameters;
        storage.Give(i => parameters[i].HasStorage);
        return parameters;
    }

    /// <summary>Tries a weight's loader without values, so that what it fills is known.</summary>
    /// <returns>False where the weight does not fit, which is noted.</returns>
    internal static bool IsTaken(Weight weight, WeightTarget target, ModuleRecord record)
    {
        if (weight.Components is not null)
        {
            record.Trust(weight, target);
            return true;
        }

        using var outline = weight.IsLazy ? null : Weight.OutlineOf(weight);
        return record.Run(outline ?? weight, target) is not null;
    }

    /// <summary>Runs a loader on a parameter's storage. On a lazy weight it says at which part it needs values; each is brought, and it runs again.</summary>
    internal static async Task RunAsync(Weight weight, WeightTarget target, ParameterStorage storage, LoadOptions options, CancellationToken cancellationToken)
    {
        var values = new List<Tensor>();
        try
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ValuesRequiredException? required = null;
                try
                {
                    storage.With(target.Parameter, () => target.Parameter.Load(weight, target.Shard));
                    return;
                }
                catch (ValuesRequiredException exception) when (exception.Weight?.Stored is not null)
                {
                    required = exception;
                }

                var part = required.Weight!;
                var read = await WeightReader.ReadAsync(part.Stored!, WeightPart.Of(part), null, options, cancellationToken).ConfigureAwait(false);
                values.Add(read);
                part.Stored!.Provide(WeightPart.Of(part), read);
            }
        }
        finally
        {
            weight.Stored?.Forget();
            foreach (var value in values)
            {
                value.Dispose();
            }
        }
    }
}
