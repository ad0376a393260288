using System.Runtime.ExceptionServices;

namespace IlgpuLoader.Loading;

/// <summary>Runs lanes side by side, each on a thread of its own, and ends all of them at the first failure.</summary>
internal static class LaneThreads
{
    /// <summary>Runs the lanes and waits for every one of them, whatever happens to the others.</summary>
    /// <param name="count">How many lanes.</param>
    /// <param name="lane">The work of a lane, by its index; its token is cancelled when another lane fails.</param>
    /// <param name="cancellationToken">Cancels all of them.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled; every lane has ended.</exception>
    public static async Task RunAsync(int count, Func<int, CancellationToken, Task> lane, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ExceptionDispatchInfo? failure = null;
        var lanes = new Task[count];
        for (var i = 0; i < count; i++)
        {
            var index = i;
            // Reads of local files block, and the pool's threads are the caller's.
            lanes[i] = Task.Factory.StartNew(
                () => RunLaneAsync(index), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        }

        await Task.WhenAll(lanes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        failure?.Throw();

        async Task RunLaneAsync(int index)
        {
            try
            {
                await lane(index, stop.Token).ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                // The first failure counts; what the other lanes report afterwards follows from it.
                _ = Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(exception), null);
                await stop.CancelAsync().ConfigureAwait(false);
            }
        }
    }
}
