using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of safetensors files, of which several are read side by side (vLLM's <c>multi_thread_safetensors_weights_iterator</c>). Immutable and safe for any
/// thread; each reading opens the files anew and closes them.
/// </summary>
/// <remarks>
/// The weights of a file come together, and files in the order in which they arrive. What differs from vLLM, which holds as many whole files in memory as there are workers and
/// more: all workers together stay within <see cref="LoadOptions.StreamWindowBytes"/> and <see cref="LoadOptions.StagingBytes"/>, of which each has an equal part. A file that
/// fits into its worker's part of the window has arrived when it is loaded; a larger one when its first weight is there, and is read on as its weights are taken.
/// </remarks>
public sealed class ParallelSafetensorsWeights
{
    private readonly ParallelWeightsOptions _options;
    private readonly ImmutableArray<string> _files;

    /// <summary>Takes the files; nothing is opened.</summary>
    /// <param name="files">Paths of safetensors files; they are begun in this order.</param>
    /// <param name="options">What is given and how; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no file, or an option is out of range, or none that is possible here.</exception>
    public ParallelSafetensorsWeights(IEnumerable<string> files, ParallelWeightsOptions? options = null)
    {
        _files = OpenWeightFiles.Check(files);
        _options = options ?? ParallelWeightsOptions.Default;
        _options.Check();
        ParallelWeightsOptions.CheckWorkers(_options.MaximumWorkers, nameof(ParallelWeightsOptions.MaximumWorkers));
    }

    /// <summary>Reads the weights.</summary>
    /// <param name="progress">Counts bytes and tensors; the totals are known before the first weight. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <inheritdoc cref="SafetensorsWeights.ReadAsync"/>
    /// <remarks>The headers of all files are read and validated first, and the files stay open until the loop is left.</remarks>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var files = await OpenWeightFiles.OpenAsync(_files, _options, SafetensorsConstants.Format, cancellationToken).ConfigureAwait(false);
        await using (files.ConfigureAwait(false))
        {
            var reading = FilesSideBySide.Plan(
                files.Checkpoints.Length, _options.MaximumWorkers, _options.Load, (i, load) => [LoadPlanner.Plan(files.Checkpoints[i], load)]);
            await foreach (var weight in reading.ReadAsync(progress, cancellationToken).ConfigureAwait(false))
            {
                yield return weight;
            }
        }
    }
}
