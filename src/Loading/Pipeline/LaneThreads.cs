using System.Runtime.ExceptionServices;

namespace IlgpuLoader.Loading;

/// <summary>Runs lanes side by side, each on a thread of its own, and ends all of them at the first failure.</summary>
internal static class LaneThreads
{
    /// <summary>
    /// Runs the lanes and waits for every one of them, whatever happens to the others. Lanes share their work: where the
    /// system refuses another thread, those that have one do all of it.
    /// </summary>
    /// <param name="count">How many lanes, at least one.</param>
    /// <param name="lane">The work of a lane, by its index; its token is cancelled when another lane fails.</param>
    /// <param name="cancellationToken">Cancels all of them.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled; every lane has ended.</exception>
    public static Task RunAsync(int count, Func<int, CancellationToken, Task> lane, CancellationToken cancellationToken) =>
        RunAsync(count, lane, stepsBack: false, cancellationToken);

    /// <param name="stepsBack">Whether the lanes' threads step back behind the process's others; a lane that waits for a device goes on on one of the pool's, which do not.</param>
    /// <inheritdoc cref="RunAsync(int, Func{int, CancellationToken, Task}, CancellationToken)"/>
    /// <param name="count">How many lanes.</param>
    /// <param name="lane">The work of a lane.</param>
    /// <param name="cancellationToken">Cancels all of them.</param>
    public static Task RunAsync(int count, Func<int, CancellationToken, Task> lane, bool stepsBack, CancellationToken cancellationToken) =>
        RunAsync(count, lane, stepsBack ? StartThreadBehind : StartThread, cancellationToken);

    /// <param name="start">Starts a lane, or throws <see cref="TaskSchedulerException"/>; another one for tests.</param>
    /// <inheritdoc cref="RunAsync(int, Func{int, CancellationToken, Task}, CancellationToken)"/>
    /// <param name="count">How many lanes, at least one.</param>
    /// <param name="lane">The work of a lane.</param>
    /// <param name="cancellationToken">Cancels all of them.</param>
    internal static async Task RunAsync(
        int count, Func<int, CancellationToken, Task> lane, Func<Func<Task>, Task> start, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ExceptionDispatchInfo? failure = null;
        var lanes = new List<Task>(count);
        for (var i = 0; i < count; i++)
        {
            var index = i;
            try
            {
                lanes.Add(start(() => RunLaneAsync(index)));
            }
            catch (TaskSchedulerException) when (i > 0)
            {
                break;
            }
            catch (TaskSchedulerException)
            {
                // Not even one: a thread of the pool is there already.
                lanes.Add(Task.Run(() => RunLaneAsync(index), CancellationToken.None));
                break;
            }
        }

        // Every lane has ended before the caller frees what lanes write into by address.
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

    // Reads of local files block, and the pool's threads are the caller's.
    private static Task StartThread(Func<Task> lane) =>
        Task.Factory.StartNew(lane, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();

    // The thread ends with the lane: nobody else gets it.
    private static Task StartThreadBehind(Func<Task> lane) => StartThread(() =>
    {
        LanePriority.StepBack();
        return lane();
    });
}
