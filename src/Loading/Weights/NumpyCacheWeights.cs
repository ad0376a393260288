using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of a model of PyTorch files from its NumPy cache, which the first reading makes (<see cref="NumpyCache"/>; vLLM's <c>np_cache_weights_iterator</c>), in
/// the order of the cache's list of names. Immutable and safe for any thread; several processes make the cache once, under a lock.
/// </summary>
public sealed class NumpyCacheWeights
{
    private readonly string _folder;
    private readonly NumpyCacheWeightsOptions _options;

    /// <summary>Takes the folder; nothing is opened or made.</summary>
    /// <param name="modelFolder">The folder of the model.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is none that is possible here, or the folder has no name.</exception>
    public NumpyCacheWeights(string modelFolder, NumpyCacheWeightsOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelFolder);
        _folder = modelFolder;
        _options = options ?? NumpyCacheWeightsOptions.Default;
        _options.Check();
    }

    /// <summary>Opens the cache, makes it first where there is none, and reads the weights.</summary>
    /// <remarks>
    /// Weights come in the order of <c>weight_names.json</c>, and behind them those that are not in that list because their names are none of a file. As many
    /// as fit into <see cref="LoadOptions.StreamWindowBytes"/> are read at a time, at least one. A model of other files than PyTorch's has no cache: its weights come in its own order.
    /// </remarks>
    /// <param name="progress">
    /// Counts bytes and tensors as they are read; the totals are known before the first weight. The making of the cache is
    /// <see cref="NumpyCacheWeightsOptions.MakingProgress"/>'s. Called from the lanes' threads, in order; must return soon.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting for another process, the making, and the reading.</param>
    /// <returns>The weights; each is the caller's to dispose. Leaving the loop early frees what was not taken.</returns>
    /// <inheritdoc cref="NumpyCache.OpenReportedAsync" path="/exception"/>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold what is read at a time.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var opening = await NumpyCache
            .OpenReportedAsync(_folder, _options.Checkpoint, _options.MakingProgress, cancellationToken).ConfigureAwait(false);
        var checkpoint = opening.Checkpoint;
        await using (checkpoint.ConfigureAwait(false))
        {
            var order = await OrderAsync(opening, cancellationToken).ConfigureAwait(false);
            var plans = Chunks(order).Select(names => LoadPlanner.Plan(checkpoint, _options.Load, tensor => names.Contains(tensor.Name))).ToArray();
            var shared = new SharedProgress(progress, plans);
            shared.Begin();
            var loader = new CheckpointLoader();
            var at = 0;
            foreach (var plan in plans)
            {
                using var model = await loader.LoadAsync(plan, shared.Of(plan), cancellationToken).ConfigureAwait(false);
                for (var end = at + plan.Tensors.Length; at < end; at++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    yield return new Weight(order[at].Name, model.Detach(order[at].Name));
                }
            }
        }
    }

    private async Task<TensorInfo[]> OrderAsync(NumpyCacheOpening opening, CancellationToken cancellationToken)
    {
        var choice = _options.Choice;
        var tensors = opening.Checkpoint.Tensors.Where(tensor => choice.Includes(tensor.Name));
        if (opening.CachePath is not { } cache)
        {
            return [.. tensors];
        }

        var bytes = await File.ReadAllBytesAsync(Path.Combine(cache, NumpyCacheFolder.NamesFile), cancellationToken).ConfigureAwait(false);
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var name in JsonSerializer.Deserialize(bytes, CacheJsonContext.Default.StringArray) ?? [])
        {
            places.TryAdd(name, places.Count);
        }

        return [.. tensors.OrderBy(tensor => places.GetValueOrDefault(tensor.Name, int.MaxValue))];
    }

    private IEnumerable<HashSet<string>> Chunks(TensorInfo[] order)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (var tensor in order)
        {
            var size = (_options.Load.DTypeOf(tensor.DType) is var dtype && dtype == tensor.DType ? tensor.DataByteLength : dtype.ByteCount(tensor.ElementCount));
            if (names.Count > 0 && bytes + size > _options.Load.StreamWindowBytes)
            {
                yield return names;
                (names, bytes) = (new(StringComparer.Ordinal), 0);
            }

            names.Add(tensor.Name);
            bytes += size;
        }

        if (names.Count > 0)
        {
            yield return names;
        }
    }
}
