using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The states of all ranks of a folder, each opened when it is first needed. Not safe for several threads.</summary>
/// <param name="loader">What opens them.</param>
/// <param name="folder">The folder.</param>
/// <param name="options">How they are read.</param>
internal sealed class SavedRanks(ShardedStateLoader loader, string folder, ShardedStateLoadOptions options) : IAsyncDisposable
{
    private readonly Dictionary<int, ShardedState> _states = [];

    /// <summary>The state of a rank; stays this one's.</summary>
    public async Task<ShardedState> OpenAsync(int rank, CancellationToken cancellationToken)
    {
        if (!_states.TryGetValue(rank, out var state))
        {
            state = await loader.OpenAsync(folder, rank, cancellationToken).ConfigureAwait(false);
            _states.Add(rank, state);
        }

        return state;
    }

    /// <summary>Reads a tensor into host memory; null where the rank has none of that name.</summary>
    /// <returns>The tensor, which is the caller's.</returns>
    public async Task<Tensor?> ReadAsync(int rank, string name, CancellationToken cancellationToken)
    {
        var state = await OpenAsync(rank, cancellationToken).ConfigureAwait(false);
        if (state.Find(name) is null)
        {
            return null;
        }

        using var read = await state
            .LoadTensorsAsync([name], options with { Load = options.Load with { Device = HostDevice.Shared } }, null, cancellationToken).ConfigureAwait(false);
        return read[name].On(HostDevice.Shared);
    }

    /// <summary>Closes them.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var state in _states.Values)
        {
            await state.DisposeAsync().ConfigureAwait(false);
        }
    }
}
