using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of PyTorch files (<c>.bin</c>, <c>.pt</c>, <c>.pth</c>), file by file in the given order (vLLM's <c>pt_weights_iterator</c>). Nothing in a file is ever
/// called: only tensors are read (<c>weights_only</c>). Immutable and safe for any thread; each reading opens the files anew and closes them.
/// </summary>
public sealed class TorchWeights
{
    private readonly TorchWeightsOptions _options;
    private readonly ImmutableArray<string> _files;

    /// <summary>Takes the files; nothing is opened.</summary>
    /// <param name="files">Paths of PyTorch files.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no file, or an option is none that is possible here.</exception>
    public TorchWeights(IEnumerable<string> files, TorchWeightsOptions? options = null)
    {
        _files = OpenWeightFiles.Check(files);
        _options = options ?? TorchWeightsOptions.Default;
        _options.Check();
    }

    /// <summary>Reads the weights: of a file in the order in which they arrive, those of one device after those of another.</summary>
    /// <remarks>
    /// The headers of all files are read and validated first, and the files stay open until the loop is left. vLLM holds a whole file in memory; here at most
    /// <see cref="LoadOptions.StreamWindowBytes"/> wait to be taken.
    /// </remarks>
    /// <param name="progress">Counts bytes and tensors; the totals are known before the first weight. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <exception cref="UnsupportedCheckpointException">A file is of another format, or has a tensor that was saved from a device which is not in the map.</exception>
    /// <inheritdoc cref="SafetensorsWeights.ReadAsync"/>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var files = await OpenWeightFiles.OpenAsync(_files, _options, TorchConstants.Format, cancellationToken).ConfigureAwait(false);
        await using (files.ConfigureAwait(false))
        {
            var locations = new StoredLocations(_options);
            var plans = files.Checkpoints.SelectMany(file => locations.Plan(file, _options.Load)).ToArray();
            var shared = new SharedProgress(progress, plans);
            shared.Begin();
            await foreach (var weight in FileWeights.StreamAsync(plans, shared.Of, cancellationToken).ConfigureAwait(false))
            {
                yield return weight;
            }
        }
    }
}
