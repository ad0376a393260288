using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of PyTorch files, of which several are read side by side (vLLM's <c>multi_thread_pt_weights_iterator</c>). Immutable and safe for any thread; each
/// reading opens the files anew and closes them.
/// </summary>
/// <inheritdoc cref="ParallelSafetensorsWeights" path="/remarks"/>
public sealed class ParallelTorchWeights
{
    private readonly TorchWeightsOptions _options;
    private readonly ImmutableArray<string> _files;

    /// <summary>Takes the files; nothing is opened.</summary>
    /// <param name="files">Paths of PyTorch files; they are begun in this order.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no file, or an option is out of range, or none that is possible here.</exception>
    public ParallelTorchWeights(IEnumerable<string> files, TorchWeightsOptions? options = null)
    {
        _files = OpenWeightFiles.Check(files);
        _options = options ?? TorchWeightsOptions.Default;
        _options.Check();
        ParallelWeightsOptions.CheckWorkers(_options.MaximumWorkers, nameof(TorchWeightsOptions.MaximumWorkers));
    }

    /// <summary>Reads the weights.</summary>
    /// <inheritdoc cref="TorchWeights.ReadAsync"/>
    /// <remarks>The headers of all files are read and validated first, and the files stay open until the loop is left.</remarks>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var files = await OpenWeightFiles.OpenAsync(_files, _options, TorchConstants.Format, cancellationToken).ConfigureAwait(false);
        await using (files.ConfigureAwait(false))
        {
            var locations = new StoredLocations(_options);
            var reading = FilesSideBySide.Plan(
                files.Checkpoints.Length, _options.MaximumWorkers, _options.Load, (i, load) => locations.Plan(files.Checkpoints[i], load));
            await foreach (var weight in reading.ReadAsync(progress, cancellationToken).ConfigureAwait(false))
            {
                yield return weight;
            }
        }
    }
}
