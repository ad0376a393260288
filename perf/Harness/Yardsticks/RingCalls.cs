using System.Runtime.InteropServices;

namespace IlgpuLoader.Harness;

/// <summary>The system calls and structures of io_uring(7), which .NET and the C library have no calls for.</summary>
internal static unsafe partial class RingCalls
{
    // The numbers are the same on every processor (asm-generic).
    private const long SetupNumber = 425;
    private const long EnterNumber = 426;

    private const uint GetEvents = 1;
    private const int ProtectReadWrite = 0x3;
    private const int MapSharedPopulate = 0x01 | 0x8000;

    /// <summary>Where <see cref="MapRing"/> finds the queues.</summary>
    public const long Queues = 0;

    /// <summary>Where <see cref="MapRing"/> finds the entries that are submitted.</summary>
    public const long Entries = 0x10000000;

    /// <summary>IORING_FEAT_SINGLE_MMAP: both queues are in one mapping; since Linux 5.4.</summary>
    public const uint SingleMapping = 1;

    /// <summary>IORING_OP_READ; since Linux 5.6.</summary>
    public const byte Read = 22;

    private static readonly nint MapFailed = -1;

    /// <summary>struct io_sqring_offsets.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SubmissionOffsets
    {
        public uint Head;
        public uint Tail;
        public uint RingMask;
        public uint RingEntries;
        public uint Flags;
        public uint Dropped;
        public uint Array;
        public uint Reserved;
        public ulong UserAddress;
    }

    /// <summary>struct io_cqring_offsets.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CompletionOffsets
    {
        public uint Head;
        public uint Tail;
        public uint RingMask;
        public uint RingEntries;
        public uint Overflow;
        public uint Entries;
        public uint Flags;
        public uint Reserved;
        public ulong UserAddress;
    }

    /// <summary>struct io_uring_params.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Parameters
    {
        public uint SubmissionEntries;
        public uint CompletionEntries;
        public uint Flags;
        public uint ThreadProcessor;
        public uint ThreadIdle;
        public uint Features;
        public uint WorkQueue;
        public uint Reserved0;
        public uint Reserved1;
        public uint Reserved2;
        public SubmissionOffsets Submission;
        public CompletionOffsets Completion;
    }

    /// <summary>struct io_uring_sqe: of its 64 bytes what a read needs.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    internal struct Submission
    {
        public byte Operation;
        public byte Flags;
        public ushort Priority;
        public int File;
        public ulong Offset;
        public ulong Address;
        public uint Length;
        public uint ReadFlags;
        public ulong UserData;
    }

    /// <summary>struct io_uring_cqe.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Completion
    {
        public ulong UserData;
        public int Result;
        public uint Flags;
    }

    /// <summary>Makes a ring.</summary>
    /// <returns>Its descriptor, or minus the error.</returns>
    public static int Setup(uint entries, Parameters* parameters)
    {
        var result = SystemCall(SetupNumber, (nint)entries, (nint)parameters, 0, 0, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;
    }

    /// <summary>Submits entries and waits for completions.</summary>
    /// <returns>How many were taken, or minus the error.</returns>
    public static int Enter(int ring, int submit, int wait)
    {
        var result = SystemCall(EnterNumber, ring, submit, wait, (nint)GetEvents, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;
    }

    /// <summary>Maps a part of a ring.</summary>
    /// <returns>The address, or 0.</returns>
    public static nint MapRing(int ring, long offset, long bytes)
    {
        var address = Map(0, (nuint)bytes, ProtectReadWrite, MapSharedPopulate, ring, (nint)offset);
        return address == MapFailed ? 0 : address;
    }

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, nint offset);
}
