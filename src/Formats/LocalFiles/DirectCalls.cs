using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// The calls of Linux that read past the page cache, or say how it will be used. On other systems every file refuses: Windows has such reads
/// (FILE_FLAG_NO_BUFFERING), but nobody has measured them here. Tests derive file systems that refuse.
/// </summary>
internal unsafe partial class DirectCalls
{
    // open(2): O_RDONLY is 0, and O_CLOEXEC the same on every processor that .NET runs on.
    private const int CloseOnExec = 0x80000;

    private const int Interrupted = 4;
    private const int InvalidArgument = 22;
    private const int TooManyInSystem = 23;
    private const int TooManyInProcess = 24;
    private const int NotSupported = 95;

    // statx(2): the descriptor itself, and what direct reads are aligned to (Linux 6.1). Offsets in struct statx.
    private const int EmptyPath = 0x1000;
    private const uint AskAlignment = 0x2000;
    private const int StatxBytes = 256;
    private const int AlignmentAt = 152;

    // posix_fadvise(2).
    private const int AdviceNormal = 0;
    private const int AdviceRandom = 1;

    // What every disk takes, where the file system does not say: a page.
    private const int DefaultAlignment = 4096;

    // A larger one would not fit the smallest staging slot.
    private const int LargestAlignment = 16 << 10;

    /// <summary>The system's own calls.</summary>
    public static DirectCalls System { get; } = new();

    /// <summary>O_DIRECT, which differs from processor to processor; others than these, and 32-bit processes, whose offsets are shorter, go without.</summary>
    internal static int? DirectFlag => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 or Architecture.S390x or Architecture.RiscV64 or Architecture.LoongArch64 => 0x4000,
        Architecture.Arm64 => 0x10000,
        Architecture.Ppc64le => 0x20000,
        _ => null,
    };

    /// <summary>Opens an open file once more for direct reads: the very same one, whatever its path names by now.</summary>
    /// <param name="file">The open file.</param>
    /// <param name="isForGood">Whether there is no use in trying again, where the result is null: all but a lack of descriptors.</param>
    /// <returns>The file and what reads of it are aligned to; null where the file system, or the system, refuses.</returns>
    public virtual (SafeFileHandle Handle, DirectAlignment Alignment)? TryOpen(SafeFileHandle file, out bool isForGood)
    {
        isForGood = true;
        if (!OperatingSystem.IsLinux() || DirectFlag is not { } direct)
        {
            return null;
        }

        var path = string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{file.DangerousGetHandle()}");
        int descriptor;
        while ((descriptor = Open(path, direct | CloseOnExec)) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Interrupted)
            {
                isForGood = error is not (TooManyInSystem or TooManyInProcess);
                return null;
            }
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (AlignmentOf(handle) is { } alignment)
        {
            return (handle, alignment);
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Reads once; address, offset and length are aligned.</summary>
    /// <returns>The number of bytes, fewer only at the end of the file or where the system chose so; -1 where the file system refuses such reads.</returns>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    public virtual int Read(SafeFileHandle handle, byte* destination, int length, long offset)
    {
        while (true)
        {
            var read = ReadAt(handle, destination, length, offset);
            if (read >= 0)
            {
                return (int)read;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Interrupted:
                    continue;
                case InvalidArgument or NotSupported:
                    return -1;
                case var error:
                    throw new IOException($"The bytes at {offset} cannot be read past the page cache: {Marshal.GetPInvokeErrorMessage(error)}.", error);
            }
        }
    }

    /// <summary>
    /// Says how a file will be read through the page cache. There is no hint for reads in order: to double what is read ahead
    /// (POSIX_FADV_SEQUENTIAL), and to name what comes next (POSIX_FADV_WILLNEED), made blocks of 1 to 16 MiB no faster.
    /// </summary>
    public virtual void Advise(SafeFileHandle file, bool areScattered)
    {
        // What it answers does not matter: a file system without the hint reads all the same.
        if (OperatingSystem.IsLinux() && Environment.Is64BitProcess)
        {
            _ = AdviseReads(file, 0, 0, areScattered ? AdviceRandom : AdviceNormal);
        }
    }

    private static DirectAlignment? AlignmentOf(SafeFileHandle handle)
    {
        var answer = stackalloc byte[StatxBytes];
        try
        {
            if (Stat(handle, "", EmptyPath, AskAlignment, answer) == 0)
            {
                var fields = new ReadOnlySpan<byte>(answer, StatxBytes);
                if ((MemoryMarshal.Read<uint>(fields) & AskAlignment) != 0)
                {
                    return Checked(MemoryMarshal.Read<uint>(fields[AlignmentAt..]), MemoryMarshal.Read<uint>(fields[(AlignmentAt + sizeof(uint))..]));
                }
            }
        }
        catch (EntryPointNotFoundException)
        {
            // A C library from before 2018.
        }

        return new DirectAlignment(DefaultAlignment, DefaultAlignment);
    }

    // Zero says that the file cannot be read directly at all, as one that is encrypted or compressed.
    internal static DirectAlignment? Checked(uint memory, uint offset) =>
        BitOperations.IsPow2(memory) && BitOperations.IsPow2(offset) && memory <= LargestAlignment && offset <= LargestAlignment
            ? new DirectAlignment((int)memory, (int)offset)
            : null;

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static partial nint ReadAt(SafeFileHandle file, byte* destination, nint length, long offset);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int AdviseReads(SafeFileHandle file, nint offset, nint length, int advice);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(SafeFileHandle file, string path, int flags, uint mask, byte* answer);
}
