using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Splits what ranks have saved anew over another number of ranks. How a parameter is split is not written down anywhere: its loader, run on the whole weight without values, tells for each saved rank what of the weight is where
/// in its tensor, and then takes the weight for this rank. Safe for any thread, as long as each model is one's own.
/// </summary>
/// <remarks>
/// <para>Known are the loaders of <see cref="WeightLoaders"/>, also below <see cref="WeightLoaders.Composed"/> where its function is said to be elementwise: the saved values have it behind them. What another loader fills, and buffers, must be the same on all ranks, and stays it; buffers that the model has computed are this rank's own and stay as they are. Elements that
/// several ranks have, such as heads of keys and values, must have the same bytes on each.</para>
/// <para>Processed weights are split by the loaders that their parameters have then: the models of both sides are to be processed, on the meta device.</para>
/// <para>Tensors that lie in another's memory in this rank's model lie there again, and are filled with it; those that lie over one another in part are refused.</para>
/// <para>Beside the model, host memory holds one parameter's whole weight and one rank's share of it at a time; pages of what this rank does not need of it are not touched. Of each saved tensor that has something that is needed all is read.</para>
/// </remarks>
public static class StateResharder
{
    /// <summary>Fills a model.</summary>
    /// <param name="model">The model of this rank, whose parameters have no storage; stays the caller's.</param>
    /// <param name="savedWorldSize">How many ranks have saved.</param>
    /// <param name="makeSaved">Makes the model of a saved rank on the meta device; disposed here.</param>
    /// <param name="read">Reads a tensor of a saved rank, under its first name in that rank's model, onto any device; disposed here. Null where the state has none.</param>
    /// <param name="device">Where the model's tensors get storage.</param>
    /// <param name="progress">Told of each share that was read; must return soon.</param>
    /// <param name="cancellationToken">Ends the work between two shares.</param>
    /// <exception cref="ModelMismatchException">Tensors cannot be split anew, which is known of required ones before anything is read; or are missing or differ where they must not. The message names all; the model is as it was.</exception>
    /// <exception cref="InvalidOperationException">A parameter of the model has storage.</exception>
    /// <exception cref="DeviceMemoryException">Host or device has not enough memory; the model is as it was.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public static async Task<ReshardResult> ReshardAsync(
        Module model,
        int savedWorldSize,
        Func<int, Module> makeSaved,
        Func<int, string, CancellationToken, Task<Tensor?>> read,
        Device device,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(savedWorldSize);
        ArgumentNullException.ThrowIfNull(makeSaved);
        ArgumentNullException.ThrowIfNull(read);
        ArgumentNullException.ThrowIfNull(device);
        if (model.NamedParameters().FirstOrDefault(entry => !entry.Parameter.IsMeta) is { Parameter: not null } loaded)
        {
            throw new InvalidOperationException($"Parameter {Quoted.Name(loaded.Name)} has storage already.");
        }

        var state = TensorsOf(model).ToArray();
        var wholes = WholesOf(state);
        var tensors = Plan([.. state.Where(entry => !wholes.ContainsKey(entry.Data))], savedWorldSize, makeSaved, cancellationToken);
        StateBudget.ThrowIfTooLarge(NeedsOf(tensors, device));
        var problems = new List<string>();
        var tally = new ReshardTally(progress, tensors);
        long bytes = 0;
        var made = new List<(Tensor Data, Parameter? Parameter, Tensor Storage)>();
        try
        {
            foreach (var tensor in tensors)
            {
                using var whole = Tensor.Empty(tensor.Data.DType, tensor.Split.Whole, device as HostDevice);
                var before = problems.Count;
                var isThere = false;
                foreach (var source in tensor.Sources)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    using var saved = await read(source.Rank, tensor.Name, cancellationToken).ConfigureAwait(false);
                    bytes += saved?.ByteLength ?? 0;
                    isThere |= saved is not null;
                    Take(tensor, source, saved, whole, problems, cancellationToken);
                    tally.Add(source);
                }

                tally.AddTensor();

                // What nothing has filled before the save is nowhere.
                if (!isThere && tensor.IsOptional)
                {
                    problems.RemoveRange(before, problems.Count - before);
                }
                else if (tensor.Refusal is { } refusal)
                {
                    problems.Add(refusal);
                }
                else if (problems.Count == 0)
                {
                    made.Add((tensor.Data, tensor.Parameter, Fill(tensor, whole, device)));
                }
            }

            Throw(problems);
            AddParts(state, wholes, made);
            var count = made.Count;
            Give(model, made);
            return new ReshardResult(count, bytes);
        }
        catch
        {
            foreach (var (_, _, storage) in made)
            {
                storage.Dispose();
            }

            throw;
        }
    }

    // The tensor that each part of one lies in, by the part.
    private static Dictionary<Tensor, Tensor> WholesOf((string Name, Parameter? Parameter, Tensor Data)[] state)
    {
        var filter = SubtensorFilter.Filter(state.Select(entry => KeyValuePair.Create(entry.Name, entry.Data)));
        var kept = filter.Select(entry => entry.Value).ToHashSet<object>(ReferenceEqualityComparer.Instance);
        var byMemory = filter.ToLookup<KeyValuePair<string, Tensor>, object>(entry => entry.Value.Memory, ReferenceEqualityComparer.Instance);
        var problems = new List<string>();
        foreach (var memory in byMemory)
        {
            var ranges = memory.Select(entry => (entry.Key, Range: ByteRange.Of(entry.Value))).OrderBy(entry => entry.Range.Begin).ToArray();
            foreach (var (before, next) in ranges.Zip(ranges.Skip(1)).Where(pair => pair.First.Range.End > pair.Second.Range.Begin))
            {
                problems.Add($"{Quoted.Name(before.Key)} and {Quoted.Name(next.Key)} lie over one another in memory, neither within the other, which is not split anew");
            }
        }

        Throw(problems);
        var wholes = new Dictionary<Tensor, Tensor>(ReferenceEqualityComparer.Instance);
        foreach (var part in state.Select(entry => entry.Data).Where(data => data.ElementCount > 0 && !kept.Contains(data)))
        {
            wholes[part] = byMemory[part.Memory].Select(entry => entry.Value).First(whole => whole.IsContiguous && ByteRange.Of(whole).Covers(ByteRange.Of(part)));
        }

        return wholes;
    }

    private static void AddParts((string Name, Parameter? Parameter, Tensor Data)[] state, Dictionary<Tensor, Tensor> wholes, List<(Tensor Data, Parameter? Parameter, Tensor Storage)> made)
    {
        var storages = made.ToDictionary<(Tensor Data, Parameter? Parameter, Tensor Storage), Tensor, Tensor>(entry => entry.Data, entry => entry.Storage, ReferenceEqualityComparer.Instance);
        var problems = new List<string>();
        foreach (var (name, parameter, data) in state.Where(entry => wholes.ContainsKey(entry.Data)))
        {
            var whole = wholes[data];
            if (storages.TryGetValue(whole, out var storage))
            {
                made.Add((data, parameter, StateCopies.ViewOf(data, whole, storage)));
            }
            else if (parameter is not { IsRequired: false })
            {
                problems.Add($"none of the saved ranks has what {Quoted.Name(name)} is a part of");
            }
        }

        Throw(problems);
    }

    // The model whole, and of the host the largest tensor with one rank's share of it, twice where that is brought there or put side by side first.
    private static IEnumerable<MemoryNeed> NeedsOf(List<ReshardedTensor> tensors, Device device) => StateBudget.NeedsOf(
        device,
        tensors.Where(tensor => !tensor.IsOptional).Sum(tensor => ByteRange.Of(tensor.Data).Length),
        tensors.Select(tensor =>
        {
            long[] shares = [.. tensor.Sources.Select(source => source.ByteLength)];
            return Math.Min(tensor.Data.DType.ByteCount(tensor.Split.Whole.ElementCount), shares.Sum()) + (2 * shares.DefaultIfEmpty().Max());
        }).DefaultIfEmpty().Max());

    private static List<ReshardedTensor> Plan((string Name, Parameter? Parameter, Tensor Data)[] state, int savedWorldSize, Func<int, Module> makeSaved, CancellationToken cancellationToken)
    {
        var saved = new Dictionary<string, List<(int Rank, Parameter? Parameter, Tensor Data)>>(StringComparer.Ordinal);
        var models = new List<Module>();
        try
        {
            for (var rank = 0; rank < savedWorldSize; rank++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                models.Add(makeSaved(rank));
                foreach (var (name, parameter, data) in TensorsOf(models[^1]))
                {
                    if (!saved.TryGetValue(name, out var ranks))
                    {
                        saved.Add(name, ranks = []);
                    }

                    ranks.Add((rank, parameter, data));
                }
            }

            var problems = new List<string>();
            var tensors = state.Where(entry => !IsOwn(entry.Parameter, entry.Data)).Select(entry => ReshardedTensor.Plan(entry.Name, entry.Parameter, entry.Data, saved.GetValueOrDefault(entry.Name, []), problems)).ToList();
            Throw(problems);
            return tensors;
        }
        finally
        {
            foreach (var made in models)
            {
                made.Dispose();
            }
        }
    }

    // What the model has computed for this very rank, such as which experts it has: another rank's would be wrong.
    private static bool IsOwn(Parameter? parameter, Tensor data) => parameter is null && data.Device.Kind != DeviceKind.Meta;

    private static IEnumerable<(string Name, Parameter? Parameter, Tensor Data)> TensorsOf(Module model)
    {
        foreach (var (name, parameter) in model.NamedParameters())
        {
            parameter.Name = name;
            yield return (name, parameter, parameter.Data);
        }

        foreach (var (name, buffer) in model.NamedBuffers())
        {
            yield return (name, null, buffer);
        }
    }

    private static void Take(ReshardedTensor tensor, ReshardSource source, Tensor? saved, Tensor whole, List<string> problems, CancellationToken cancellationToken)
    {
        if (saved is null || saved.DType != source.DType || saved.Shape != source.Shape)
        {
            problems.Add(
                $"rank {source.Rank} has {(saved is null ? "no" : $"{saved.DType.Name} {saved.Shape} as")} {Quoted.Name(tensor.Name)}, and its model {source.DType.Name} {source.Shape}");
            return;
        }

        // Places count from the first element of what lies side by side.
        using var copy = saved is { Device.IsHost: true, IsContiguous: true } ? null : saved.To(HostDevice.Shared);
        foreach (var (share, sameAs) in source.Shares)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var from = share.InRank.On(copy ?? saved);
            using var to = share.InWhole.On(whole);
            if (sameAs is null)
            {
                to.CopyFrom(from);
            }
            else if (!HaveSameBytes(from, to))
            {
                problems.Add(tensor.Disagreement(sameAs.Value, source.Rank));
                return;
            }
        }
    }

    private static bool HaveSameBytes(Tensor one, Tensor other)
    {
        const int atATime = 1 << 20;
        using var first = one.IsContiguous ? null : one.To(HostDevice.Shared);
        using var second = other.IsContiguous ? null : other.To(HostDevice.Shared);
        for (long start = 0; start < one.ByteLength; start += atATime)
        {
            var length = (int)Math.Min(atATime, one.ByteLength - start);
            if (!(first ?? one).GetReadOnlySpan<byte>(start, length).SequenceEqual((second ?? other).GetReadOnlySpan<byte>(start, length)))
            {
                return false;
            }
        }

        return true;
    }

    private static Tensor Fill(ReshardedTensor tensor, Tensor whole, Device device)
    {
        var storage = Tensor.EmptyStrided(tensor.Data.DType, tensor.Data.Shape, tensor.Data.Strides, device);
        try
        {
            if (tensor is { Split.IsKnown: true, Parameter: { } parameter })
            {
                using var weight = new Weight(tensor.Name, whole.On(whole.Device));
                var before = parameter.Exchange(storage);
                try
                {
                    parameter.Splitting!.Load(parameter, weight, ShardId.None);
                }
                finally
                {
                    _ = parameter.Exchange(before);
                }
            }
            else
            {
                storage.CopyFrom(whole);
            }

            return storage;
        }
        catch
        {
            storage.Dispose();
            throw;
        }
    }

    private static void Give(Module model, List<(Tensor Data, Parameter? Parameter, Tensor Storage)> made)
    {
        var buffers = made.Where(entry => entry.Parameter is null).ToDictionary<(Tensor Data, Parameter? Parameter, Tensor Storage), Tensor, Tensor>(
            entry => entry.Data, entry => entry.Storage, ReferenceEqualityComparer.Instance);
        foreach (var (_, parameter, storage) in made)
        {
            parameter?.SetData(storage);
        }

        foreach (var (_, module) in model.NamedModules().ToArray())
        {
            foreach (var name in module.Buffers.Keys.ToArray())
            {
                if (buffers.TryGetValue(module.Buffers[name], out var storage))
                {
                    module.ExchangeBuffer(name, storage).Dispose();
                }
            }
        }
    }

    private static void Throw(List<string> problems)
    {
        if (problems.Count > 0)
        {
            throw new ModelMismatchException(null, [.. problems], "Load the state with as many ranks as have saved it, or the model from its checkpoint.");
        }
    }
}
