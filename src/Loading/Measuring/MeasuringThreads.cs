using System.Runtime.ExceptionServices;

namespace IlgpuLoader.Loading;

/// <summary>Threads that share pieces of work and nothing else, for yardsticks.</summary>
internal static class MeasuringThreads
{
    /// <summary>Does pieces of work side by side and waits for all of them.</summary>
    /// <param name="lanes">How many threads.</param>
    /// <param name="count">How many pieces.</param>
    /// <param name="work">Does the piece of that number.</param>
    /// <param name="cancellationToken">Asked before every piece.</param>
    public static void Run(int lanes, int count, Action<int> work, CancellationToken cancellationToken)
    {
        var next = -1;
        ExceptionDispatchInfo? failure = null;
        var threads = new Thread[lanes];
        for (var i = 0; i < lanes; i++)
        {
            threads[i] = new Thread(Work);
            threads[i].Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        failure?.Throw();
        cancellationToken.ThrowIfCancellationRequested();

        void Work()
        {
            try
            {
                int piece;
                while ((piece = Interlocked.Increment(ref next)) < count && failure is null && !cancellationToken.IsCancellationRequested)
                {
                    work(piece);
                }
            }
            catch (Exception exception)
            {
                // An exception that leaves a thread ends the process.
                _ = Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(exception), null);
            }
        }
    }
}
