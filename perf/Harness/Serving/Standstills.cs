using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Harness;

/// <summary>
/// Tells when a processor of this machine ran nothing at all for a while: the host of a virtual machine gives its processors a share of time, and stops them when it is used up, which no program in the
/// machine can do anything about. A thread for each processor, before which no ordinary thread runs, asks to be woken every millisecond; when it comes much later, the processor stood still.
/// </summary>
internal sealed partial class Standstills : IDisposable
{
    // sched(7): the first of the classes that ordinary threads never delay, and a priority in the middle of it.
    private const int FirstInFirstOut = 1;
    private const int Priority = 50;
    private const int Caller = 0;
    private const int ProcessorsOfMask = 1024;

    // Interrupts and page faults of others take less than a millisecond or two.
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);

    private readonly ConcurrentQueue<(long From, long To)> _seen = new();
    private readonly Thread[] _threads;
    private volatile bool _isEnded;
    private int _refused;

    /// <summary>Begins to watch.</summary>
    public Standstills()
    {
        _threads = OperatingSystem.IsLinux() ? [.. Enumerable.Range(0, Environment.ProcessorCount).Select(processor => new Thread(() => Watch(processor)) { IsBackground = true })] : [];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>Whether the system lets them be told: it asks for the right to such threads.</summary>
    public bool IsWatching => _threads.Length > 0 && Volatile.Read(ref _refused) == 0;

    /// <summary>Whether a processor stood still at some time between two moments.</summary>
    /// <param name="from">A time stamp.</param>
    /// <param name="to">A later one.</param>
    public bool Between(long from, long to) => _seen.Any(still => still.From < to && from < still.To);

    /// <summary>Forgets what was before.</summary>
    public void Clear() => _seen.Clear();

    public void Dispose()
    {
        _isEnded = true;
        Array.ForEach(_threads, thread => thread.Join());
    }

    private void Watch(int processor)
    {
        var mask = new ulong[ProcessorsOfMask / 64];
        mask[processor / 64] = 1UL << (processor % 64);
        var priority = Priority;
        if (SetAffinity(Caller, (nuint)(mask.Length * sizeof(ulong)), mask) != 0 || SetScheduler(Caller, FirstInFirstOut, ref priority) != 0)
        {
            _ = Interlocked.Increment(ref _refused);
            return;
        }

        for (var before = Stopwatch.GetTimestamp(); !_isEnded;)
        {
            Thread.Sleep(Interval);
            var now = Stopwatch.GetTimestamp();
            if (Stopwatch.GetElapsedTime(before, now) - Interval > Shortest)
            {
                _seen.Enqueue((before, now));
            }

            before = now;
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = false)]
    private static partial int SetAffinity(int thread, nuint size, ulong[] mask);

    // sched_param has one field on Linux.
    [LibraryImport("libc", EntryPoint = "sched_setscheduler", SetLastError = false)]
    private static partial int SetScheduler(int thread, int policy, ref int priority);
}
