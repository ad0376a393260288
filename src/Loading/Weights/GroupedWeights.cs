using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of safetensors files in natural order, in groups of as many files as there are ranks; a group is loaded together to the device, then given
/// (vLLM's <c>fastsafetensors_weights_iterator</c>). Immutable and safe for any thread; each reading opens the files anew and closes them.
/// </summary>
/// <remarks>
/// <para>
/// What GPUDirect Storage is there, is <see cref="ReadMode.Direct"/> here, reads past the page cache: used where the options ask for it, or where
/// <see cref="ReadMode.Auto"/> chooses it. It is off when the world is larger than one, as there: ranks of one machine that read the same files are served by its cache.
/// </para>
/// <para>
/// Where the file system refuses direct reads, their bytes come through the page cache instead: the group is whole all the same, all groups behind it are read
/// through the page cache from the beginning, and a warning says so once. Any other error (a disk that fails, a file that was cut) is no such refusal, and ends the reading.
/// </para>
/// <para>
/// Each group is in memory as a whole until its weights are taken, on this rank in full: taking part of a weight is its loader's. A name that two files of a group have is an error.
/// </para>
/// </remarks>
public sealed class GroupedWeights
{
    private readonly GroupedWeightsOptions _options;

    /// <summary>Takes the files; nothing is opened.</summary>
    /// <param name="files">Paths of safetensors files, in any order.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no file, or an option is out of range, or none that is possible here.</exception>
    public GroupedWeights(IEnumerable<string> files, GroupedWeightsOptions? options = null)
    {
        _options = options ?? GroupedWeightsOptions.Default;
        _options.Check();
        if (_options.WorldSize < 1)
        {
            throw new ArgumentException($"A world has at least one rank, and {_options.WorldSize} are given.", nameof(options));
        }

        Groups = [.. WeightFiles.InOrder(OpenWeightFiles.Check(files)).Chunk(_options.WorldSize).Select(group => group.ToImmutableArray())];
    }

    /// <summary>The groups of files, in the order in which they are read.</summary>
    public ImmutableArray<ImmutableArray<string>> Groups { get; }

    /// <summary>Reads the weights: of a group in the order of its files and of their bytes.</summary>
    /// <remarks>The headers of all files are read and validated first, and the files stay open until the loop is left.</remarks>
    /// <param name="progress">Counts bytes and tensors; the totals are known before the first weight. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <inheritdoc cref="SafetensorsWeights.ReadAsync"/>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var files = await OpenWeightFiles.OpenAsync(Groups, _options, SafetensorsConstants.Format, cancellationToken).ConfigureAwait(false);
        await using (files.ConfigureAwait(false))
        {
            var isRefused = false;
            var plans = new List<LoadPlan>(files.Checkpoints.Length);
            foreach (var group in files.Checkpoints)
            {
                plans.Add(Plan(group, isRefused));
                isRefused = isRefused || IsRefused(plans[^1]);
            }

            var shared = new SharedProgress(progress, plans);
            shared.Begin();
            foreach (var planned in plans)
            {
                // A group behind the one that was refused is planned anew, which reads the same bytes.
                var plan = isRefused && planned.FileModes.Any(file => file.Mode == ReadMode.Direct) ? Plan(planned.Checkpoint, isRefused) : planned;
                await foreach (var weight in FileWeights.LoadAsync([plan], _ => shared.Of(planned), cancellationToken).ConfigureAwait(false))
                {
                    isRefused = isRefused || IsRefused(plan);
                    yield return weight;
                }
            }
        }
    }

    private LoadPlan Plan(Checkpoint group, bool isRefused) => LoadPlanner.Plan(
        group,
        (isRefused || _options.WorldSize > 1) && _options.Load.ReadMode is (ReadMode.Direct or ReadMode.Auto)
            ? _options.Load with { ReadMode = ReadMode.Buffered }
            : _options.Load);

    // Whether a file was to be read directly and could not be.
    private bool IsRefused(LoadPlan plan)
    {
        for (var i = 0; i < plan.Checkpoint.Files.Length; i++)
        {
            if ((plan.Options.ReadMode == ReadMode.Direct || plan.FileModes[i].Mode == ReadMode.Direct)
                && plan.Checkpoint.Files[i] is { Source: LocalFileSource { RefusesDirect: true } } file)
            {
                _options.Warnings.WarnOnce(
                    $"{file.Path}: the file system refuses direct reads; this file and all groups behind it are read through the page cache.");
                return true;
            }
        }

        return false;
    }
}
