using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The states of all ranks of a folder, all of one save. Not safe for several threads.</summary>
internal sealed class SavedRanks : IAsyncDisposable
{
    private readonly ImmutableArray<ShardedState> _states;
    private readonly ShardedStateLoadOptions _options;

    private SavedRanks(ImmutableArray<ShardedState> states, ShardedStateLoadOptions options) => (_states, _options) = (states, options);

    /// <summary>How many ranks there are.</summary>
    public int Count => _states.Length;

    /// <summary>The state of rank 0, which is as the others.</summary>
    public ShardedState First => _states[0];

    /// <summary>Opens them: all before anything is read, so that a save which replaces the folder meanwhile is noticed.</summary>
    /// <param name="place">The folder.</param>
    /// <param name="pattern">What the files are called where there are no manifests; they are counted then.</param>
    /// <param name="options">How they are read.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    public static async Task<SavedRanks> OpenAsync(ICheckpointPlace place, ShardFilePattern pattern, ShardedStateLoadOptions options, CancellationToken cancellationToken)
    {
        var manifests = await ShardedState.ReadManifestsAsync(place, cancellationToken).ConfigureAwait(false);
        options.ThrowIfOtherSave(place.Name, manifests);
        var names = await place.ListAsync(cancellationToken).ConfigureAwait(false);
        // Without files of rank 0 its opening says so.
        var count = Math.Max(1, manifests.IsEmpty ? pattern.CountRanks(names) : manifests.Length);
        // Of all ranks at once.
        await place
            .PrepareAsync(manifests.IsEmpty ? [.. names.Where(pattern.IsPart)] : [.. manifests.SelectMany(manifest => manifest.Files).Select(file => file.Name)], cancellationToken).ConfigureAwait(false);
        var states = ImmutableArray.CreateBuilder<ShardedState>(count);
        try
        {
            for (var rank = 0; rank < count; rank++)
            {
                states.Add(await ShardedState.OpenRankAsync(place, rank, pattern, manifests, cancellationToken).ConfigureAwait(false));
            }

            await ShardedState.ThrowIfReplacedAsync(place, manifests, cancellationToken).ConfigureAwait(false);
            ThrowIfUnlike(place.Name, states);
            return new SavedRanks(states.DrainToImmutable(), options);
        }
        catch
        {
            foreach (var state in states)
            {
                await state.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    /// <summary>Reads a tensor into host memory; null where the rank has none of that name.</summary>
    /// <returns>The tensor, which is the caller's.</returns>
    public async Task<Tensor?> ReadAsync(int rank, string name, CancellationToken cancellationToken)
    {
        if (_states[rank].Find(name) is null)
        {
            return null;
        }

        using var read = await _states[rank]
            .LoadTensorsAsync([name], _options with { Load = _options.Load with { Device = HostDevice.Shared } }, null, cancellationToken).ConfigureAwait(false);
        return read[name].On(HostDevice.Shared);
    }

    /// <summary>Closes them.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var state in _states)
        {
            await state.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Where nothing says that the files are of one save, this at least is as of one.
    private static void ThrowIfUnlike(string folder, ImmutableArray<ShardedState>.Builder states)
    {
        foreach (var state in states)
        {
            if (state.ProcessedFor != states[0].ProcessedFor)
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.MetadataInvalid,
                    folder,
                    $"rank 0 was saved with {Describe(states[0])} weights and rank {state.Rank} with {Describe(state)} ones: they are of different saves; save the state again.",
                    Formats.Safetensors.SafetensorsConstants.Format);
            }
        }

        static string Describe(ShardedState state) => state.ProcessedFor is { } dtype ? $"processed ({dtype.Name})" : "unprocessed";
    }
}
