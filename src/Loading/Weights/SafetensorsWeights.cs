using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of safetensors files, file by file in natural order (vLLM's <c>safetensors_weights_iterator</c>). Immutable and safe for any thread; each
/// reading opens the files anew and closes them.
/// </summary>
/// <remarks>
/// A name that two files have is given twice, the second behind the first; for one checkpoint, in which that is an error, see <see cref="StreamingWeights"/>.
/// </remarks>
public sealed class SafetensorsWeights
{
    private readonly SafetensorsWeightsOptions _options;
    private readonly ImmutableArray<string> _files;

    /// <summary>Takes the files; nothing is opened.</summary>
    /// <param name="files">Paths of safetensors files, in any order.</param>
    /// <param name="options">What is given and how; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no file, or an option is none that is possible here.</exception>
    public SafetensorsWeights(IEnumerable<string> files, SafetensorsWeightsOptions? options = null)
    {
        _files = [.. WeightFiles.InOrder(OpenWeightFiles.Check(files))];
        _options = options ?? SafetensorsWeightsOptions.Default;
        _options.Check();
        ArgumentNullException.ThrowIfNull(_options.Strategy, nameof(options));
    }

    /// <summary>The files, in the order in which they are read.</summary>
    public IReadOnlyList<string> Files => _files;

    /// <summary>Reads the weights.</summary>
    /// <remarks>
    /// <para>
    /// The headers of all files are read and validated first, and the files stay open until the loop is left. <see cref="LoadStrategy.Lazy"/> weights must be used
    /// inside of it: they are read from these files. Nothing else of them is read before they are used.
    /// </para>
    /// <para>
    /// Memory beside what was taken: of <see cref="LoadStrategy.Eager"/> the rest of the file, of <see cref="LoadStrategy.Prefetch"/> a window and the staging cap,
    /// which the file that is given and the one that is read ahead share half and half; of <see cref="LoadStrategy.TorchAO"/> a window, and the parts of tensors
    /// that wait for others.
    /// </para>
    /// </remarks>
    /// <param name="progress">
    /// Counts bytes and tensors; the totals are known before the first weight. Of lazy weights there are no bytes, since who uses them reads them. Called from the
    /// lanes' threads, in order; must return soon.
    /// </param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <returns>The weights; each is the caller's to dispose. Leaving the loop early frees what was not taken.</returns>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold a file, a weight, or what waits.</exception>
    /// <exception cref="CheckpointException">A file is broken, no safetensors file, or not what it was when it was opened.</exception>
    /// <exception cref="IOException">A file cannot be opened, or a read failed; the message names tensor, file and offset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var files = await OpenWeightFiles.OpenAsync(_files, _options, SafetensorsConstants.Format, cancellationToken).ConfigureAwait(false);
        await using (files.ConfigureAwait(false))
        {
            var weights = _options.Strategy == LoadStrategy.Lazy ? ReadLazyAsync(files.Checkpoints, progress, cancellationToken)
                : _options.Strategy == LoadStrategy.Eager ? ReadEagerAsync(files.Checkpoints, progress, cancellationToken)
                : _options.Strategy == LoadStrategy.Prefetch ? ReadAheadAsync(files.Checkpoints, progress, cancellationToken)
                : new TorchAOWeights(files.Checkpoints, _options).ReadAsync(progress, cancellationToken);
            await foreach (var weight in weights.ConfigureAwait(false))
            {
                yield return weight;
            }
        }
    }

    private async IAsyncEnumerable<Weight> ReadLazyAsync(
        ImmutableArray<Checkpoint> files, IProgress<LoadProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var choice = _options.Choice;
        TensorInfo[] tensors = [.. files.SelectMany(file => file.Tensors).Where(tensor => choice.Includes(tensor.Name))];
        progress?.Report(new LoadProgress(0, 0, 0, tensors.Length));
        for (var i = 0; i < tensors.Length; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Weight.Lazy(tensors[i], options: _options.Load);
            progress?.Report(new LoadProgress(0, 0, i + 1, tensors.Length));
        }

        await Task.CompletedTask.ConfigureAwait(false);
    }

    private async IAsyncEnumerable<Weight> ReadEagerAsync(
        ImmutableArray<Checkpoint> files, IProgress<LoadProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var plans = files.Select(file => LoadPlanner.Plan(file, _options.Load)).ToArray();
        var shared = new SharedProgress(progress, plans);
        shared.Begin();
        foreach (var plan in plans)
        {
            await foreach (var weight in FileWeights.LoadAsync([plan], shared.Of, cancellationToken).ConfigureAwait(false))
            {
                yield return weight;
            }
        }
    }

    // One file is given while the other is read.
    private IAsyncEnumerable<Weight> ReadAheadAsync(
        ImmutableArray<Checkpoint> files, IProgress<LoadProgress>? progress, CancellationToken cancellationToken) =>
        FilesSideBySide
            .Plan(files.Length, 2, _options.Load, (i, load) => [LoadPlanner.Plan(files[i], load)], inOrder: true)
            .ReadAsync(progress, cancellationToken);
}
