using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of safetensors files as one stream, in the order in which they arrive, whatever file they are in (vLLM's
/// <c>runai_safetensors_weights_iterator</c>). How many there are is known before the first. Safe for any thread; disposing it closes the files.
/// </summary>
public sealed class StreamingWeights : IAsyncDisposable
{
    private readonly OpenWeightFiles _files;
    private readonly LoadPlan _plan;

    private StreamingWeights(OpenWeightFiles files, LoadPlan plan) => (_files, _plan) = (files, plan);

    /// <summary>How many weights there are.</summary>
    public int TensorCount => _plan.Tensors.Length;

    /// <summary>How many bytes of files they take to read.</summary>
    public long BytesToRead => _plan.BytesToRead;

    /// <summary>Opens the files as one checkpoint and plans the reading; no weight is read.</summary>
    /// <param name="files">Paths of safetensors files.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <returns>The weights, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">There is no file, or an option is none that is possible here.</exception>
    /// <exception cref="InvalidCheckpointException">A file breaks a rule of the format, or two have a tensor of the same name.</exception>
    /// <exception cref="UnsupportedCheckpointException">A file is of another format.</exception>
    /// <exception cref="IOException">A file cannot be opened.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<StreamingWeights> OpenAsync(
        IEnumerable<string> files, WeightsOptions? options = null, CancellationToken cancellationToken = default)
    {
        var all = OpenWeightFiles.Check(files);
        options ??= new WeightsOptions();
        options.Check();
        var opened = await OpenWeightFiles
            .OpenAsync(ImmutableArray.Create(all), options, SafetensorsConstants.Format, cancellationToken).ConfigureAwait(false);
        try
        {
            return new StreamingWeights(opened, LoadPlanner.Plan(opened.Checkpoints[0], options.Load));
        }
        catch
        {
            await opened.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Reads the weights; they may be read any number of times while the files are open.</summary>
    /// <remarks>At most <see cref="LoadOptions.StreamWindowBytes"/> wait to be taken.</remarks>
    /// <param name="progress">Counts bytes and tensors; the first report has the totals and nothing else. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <inheritdoc cref="SafetensorsWeights.ReadAsync"/>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var shared = new SharedProgress(progress, [_plan]);
        shared.Begin();
        await foreach (var weight in FileWeights.StreamAsync([_plan], shared.Of, cancellationToken).ConfigureAwait(false))
        {
            yield return weight;
        }
    }

    /// <summary>Closes the files.</summary>
    public ValueTask DisposeAsync() => _files.DisposeAsync();
}
