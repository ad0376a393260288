using System.Diagnostics;
using System.Runtime.InteropServices;
using IlgpuLoader.Loading;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Harness;

/// <summary>Reads a file with io_uring, many blocks in flight from one thread, into memory that was touched before.</summary>
internal sealed unsafe class RingYardstick : IDisposable
{
    // The most that are in flight.
    private const int Entries = 64;

    private const int Alignment = 4096;
    private const int Interrupted = 4;

    private readonly SafeFileHandle _file;
    private readonly SafeFileHandle _ring;
    private readonly long _length;
    private readonly YardstickMemory _memory;
    private readonly nint _queues;
    private readonly long _queueBytes;
    private readonly nint _entries;
    private readonly RingCalls.Parameters _parameters;

    private RingYardstick(SafeFileHandle file, int ring, in RingCalls.Parameters parameters)
    {
        (_file, _ring, _parameters) = (file, new SafeFileHandle(ring, ownsHandle: true), parameters);
        _length = RandomAccess.GetLength(file);
        _memory = new YardstickMemory((_length + Alignment - 1) / Alignment * Alignment);
        _memory.Touch(Environment.ProcessorCount, CancellationToken.None);
        _queueBytes = Math.Max(
            parameters.Submission.Array + (parameters.SubmissionEntries * sizeof(uint)),
            parameters.Completion.Entries + (parameters.CompletionEntries * sizeof(RingCalls.Completion)));
        _queues = RingCalls.MapRing(ring, RingCalls.Queues, _queueBytes);
        _entries = RingCalls.MapRing(ring, RingCalls.Entries, parameters.SubmissionEntries * sizeof(RingCalls.Submission));
    }

    /// <summary>Makes a ring for a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="isDirect">Whether it is read past the page cache.</param>
    /// <param name="reason">Why there is none.</param>
    /// <returns>The yardstick, or null where the kernel has no rings, or does not let this process have one.</returns>
    public static RingYardstick? TryCreate(string path, bool isDirect, out string? reason)
    {
        reason = null;
        if (!OperatingSystem.IsLinux())
        {
            reason = "only Linux has io_uring";
            return null;
        }

        var parameters = default(RingCalls.Parameters);
        var ring = RingCalls.Setup(Entries, &parameters);
        if (ring < 0)
        {
            reason = $"io_uring_setup: {Marshal.GetPInvokeErrorMessage(-ring)}";
            return null;
        }

        var file = isDirect ? MeasuringCalls.OpenDirect(path) : File.OpenHandle(path);
        if (file is null || (parameters.Features & RingCalls.SingleMapping) == 0)
        {
            new SafeFileHandle(ring, ownsHandle: true).Dispose();
            reason = file is null ? "the file system has no O_DIRECT" : "the kernel's io_uring is older than Linux 5.4";
            return null;
        }

        var yardstick = new RingYardstick(file, ring, parameters);
        if (yardstick._queues != 0 && yardstick._entries != 0)
        {
            return yardstick;
        }

        yardstick.Dispose();
        reason = "the ring cannot be mapped";
        return null;
    }

    /// <summary>Reads the file once.</summary>
    /// <param name="depth">How many blocks are in flight, at most 64.</param>
    /// <param name="blockBytes">The size of a block, a multiple of 4 KiB.</param>
    /// <param name="cancellationToken">Asked for every block.</param>
    /// <returns>The seconds it took.</returns>
    /// <exception cref="IOException">A read failed.</exception>
    public double Measure(int depth, int blockBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(depth, Entries);
        var started = Stopwatch.GetTimestamp();
        // What is read by the one in a place: its offset, and where it ends.
        var (offsets, ends) = (new long[depth], new long[depth]);
        var free = new Stack<int>(Enumerable.Range(0, depth));
        var (next, inFlight, submit) = (0L, 0, 0);
        while (next < _length || inFlight > 0)
        {
            var stops = cancellationToken.IsCancellationRequested;
            while (!stops && next < _length && free.TryPop(out var place))
            {
                (offsets[place], ends[place]) = (next, Math.Min(next + blockBytes, _length));
                next = ends[place];
                Push(place, offsets[place], ends[place]);
                submit++;
                inFlight++;
            }

            if (stops && inFlight == 0)
            {
                break;
            }

            var entered = RingCalls.Enter((int)_ring.DangerousGetHandle(), submit, 1);
            if (entered == -Interrupted)
            {
                continue;
            }

            submit -= entered >= 0 ? entered : throw new IOException($"io_uring_enter: {Marshal.GetPInvokeErrorMessage(-entered)}");
            while (TryPop(out var done))
            {
                var place = (int)done.UserData;
                if (done.Result <= 0)
                {
                    // The memory is freed only after the ring, which ends what is in flight.
                    throw new IOException($"io_uring: {(done.Result < 0 ? Marshal.GetPInvokeErrorMessage(-done.Result) : "the file became shorter")}");
                }

                offsets[place] += done.Result;
                if (offsets[place] < ends[place])
                {
                    Push(place, offsets[place], ends[place]);
                    submit++;
                }
                else
                {
                    free.Push(place);
                    inFlight--;
                }
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    public void Dispose()
    {
        if (_queues != 0)
        {
            _ = RingCalls.Unmap(_queues, (nuint)_queueBytes);
        }

        if (_entries != 0)
        {
            _ = RingCalls.Unmap(_entries, (nuint)(_parameters.SubmissionEntries * sizeof(RingCalls.Submission)));
        }

        _ring.Dispose();
        _file.Dispose();
        _memory.Dispose();
    }

    private uint* Field(uint offset) => (uint*)(_queues + (nint)offset);

    private void Push(int place, long offset, long end)
    {
        var tail = *Field(_parameters.Submission.Tail);
        var index = tail & *Field(_parameters.Submission.RingMask);
        var length = end - offset;
        ((RingCalls.Submission*)_entries)[index] = new RingCalls.Submission
        {
            Operation = RingCalls.Read,
            File = (int)_file.DangerousGetHandle(),
            Offset = (ulong)offset,
            Address = (ulong)(_memory.Start + offset),
            // Past the page cache the last block is asked for whole; there is memory for it.
            Length = (uint)((length + Alignment - 1) / Alignment * Alignment),
            UserData = (ulong)place,
        };
        Field(_parameters.Submission.Array)[index] = index;
        // The kernel sees the entry before the tail.
        Volatile.Write(ref *Field(_parameters.Submission.Tail), tail + 1);
    }

    private bool TryPop(out RingCalls.Completion completion)
    {
        completion = default;
        var head = *Field(_parameters.Completion.Head);
        if (head == Volatile.Read(ref *Field(_parameters.Completion.Tail)))
        {
            return false;
        }

        completion = ((RingCalls.Completion*)(_queues + (nint)_parameters.Completion.Entries))[head & *Field(_parameters.Completion.RingMask)];
        Volatile.Write(ref *Field(_parameters.Completion.Head), head + 1);
        return true;
    }
}
