namespace IlgpuLoader.Hosting;

/// <summary>Runs operations one after the other, in the order in which they were asked for. Safe for any thread.</summary>
internal sealed class OperationQueue
{
    private readonly Lock _lock = new();
    private Task _last = Task.CompletedTask;

    /// <summary>Runs an operation when those before it have ended, however they did. It never begins within this call.</summary>
    /// <param name="operation">The operation.</param>
    public Task<T> Add<T>(Func<Task<T>> operation)
    {
        lock (_lock)
        {
            var added = RunAsync(_last, operation);
            _last = added;
            return added;
        }
    }

    /// <inheritdoc cref="Add{T}"/>
    public Task Add(Func<Task> operation) => Add(async () =>
    {
        await operation().ConfigureAwait(false);
        return true;
    });

    private static async Task<T> RunAsync<T>(Task before, Func<Task<T>> operation)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        return await operation().ConfigureAwait(false);
    }
}
