using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>Asks Linux which file system a file is on.</summary>
internal static partial class FileSystemKinds
{
    // More than struct statfs has on any processor (120 bytes); the type is its first field, of which 32 bits count.
    private const int StatfsBytes = 256;

    /// <summary>The kind of a file's file system; <see cref="FileSystemKind.Other"/> on systems other than Linux.</summary>
    public static FileSystemKind Of(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux())
        {
            return FileSystemKind.Other;
        }

        Span<uint> buffer = stackalloc uint[StatfsBytes / sizeof(uint)];
        return Stat(file, ref MemoryMarshal.GetReference(buffer)) == 0 ? Of(buffer[0]) : FileSystemKind.Other;
    }

    /// <summary>The kind that a type of statfs(2) stands for; numbers are those of linux/magic.h and, for the last ones, of the file systems' own sources.</summary>
    internal static FileSystemKind Of(uint type) => type switch
    {
        0xEF53 // ext2 to ext4
            or 0x58465342 // xfs
            or 0x9123683E // btrfs
            or 0xF2F52010 // f2fs
            or 0xCA451A4E // bcachefs
            or 0x7366746E // ntfs3
            or 0x2011BAB0 // exfat
            or 0x4D44 // vfat
            or 0x794C7630 // overlayfs, which hands reads down to the one below
            => FileSystemKind.Disk,
        0x01021994 // tmpfs
            or 0x858458F6 // ramfs
            or 0x958458F6 // hugetlbfs
            => FileSystemKind.Memory,
        0x6969 // nfs
            or 0x517B // smbfs
            or 0xFF534D42 // cifs
            or 0xFE534D42 // smb2
            or 0x01021997 // 9p
            or 0x65735546 // fuse, and virtiofs
            or 0x00C36400 // ceph
            or 0x5346414F // afs
            or 0x786F4256 // VirtualBox' shared folders
            or 0x0BD00BD0 // lustre
            or 0x47504653 // gpfs
            or 0x19830326 // beegfs
            => FileSystemKind.Remote,
        _ => FileSystemKind.Other,
    };

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int Stat(SafeFileHandle file, ref uint buffer);
}
