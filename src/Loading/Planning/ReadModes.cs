using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Says how each file of a plan is read: what is asked for where that can be, else by what the file is like.</summary>
internal static class ReadModes
{
    /// <summary>
    /// Below this all that a plan reads goes through the page cache: it is read in the time of a glance either way, the pages cost little,
    /// and the next load has them.
    /// </summary>
    internal const long SmallPlan = 64L << 20;

    // A smaller part of a file is a read or two, for which opening it once more is not worth while.
    private const long SmallFile = 1L << 20;

    // Pages that are there are read several times faster than a disk reads; where most are, the few others do not count.
    private const double MostlyResident = 0.5;

    // Where the rest would push others out, or what was just loaded, it pays only for few of them.
    private const double AlmostResident = 0.9;

    /// <summary>The mode's name, as <c>--read</c> takes it.</summary>
    public static string NameOf(ReadMode mode) => mode switch
    {
        ReadMode.Auto => "auto",
        ReadMode.Buffered => "buffered",
        ReadMode.Direct => "direct",
        ReadMode.Mapped => "mapped",
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "There is no such mode."),
    };

    /// <summary>Chooses for every file of a checkpoint.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="asked">What the options say.</param>
    /// <param name="parts">The part of each file that is read, by its index.</param>
    /// <param name="hostBytes">What the load takes of the host's memory beside the page cache.</param>
    /// <exception cref="IOException">A file was closed meanwhile, and cannot be opened again.</exception>
    /// <exception cref="InvalidCheckpointException">A file was replaced since it was opened.</exception>
    public static ImmutableArray<FileReadMode> Choose(Checkpoint checkpoint, ReadMode asked, FilePart[] parts, long hostBytes)
    {
        var total = parts.Sum(part => part.Bytes);
        bool? fits = null;
        var modes = ImmutableArray.CreateBuilder<FileReadMode>(parts.Length);
        for (var i = 0; i < parts.Length; i++)
        {
            modes.Add(Choose(checkpoint.Files[i].Source, parts[i]));
        }

        return modes.MoveToImmutable();

        FileReadMode Choose(IByteSource source, FilePart part)
        {
            if (part.Bytes == 0)
            {
                return new FileReadMode(ReadMode.Buffered, "nothing is read");
            }

            if (asked is ReadMode.Buffered or ReadMode.Mapped)
            {
                return new FileReadMode(asked, "asked for");
            }

            // A file may go on with what is no part of it; what is asked for concerns where the tensors begin.
            if (source.FindFileRange(part.Offset, 1) is not (var file, var offset) || offset != part.Offset)
            {
                return new FileReadMode(ReadMode.Buffered, "its bytes are not those of a local file");
            }

            if (asked == ReadMode.Direct)
            {
                return file.FindDirectAlignment() is { } alignment
                    ? new FileReadMode(ReadMode.Direct, "asked for", alignment)
                    : new FileReadMode(ReadMode.Buffered, "it cannot be opened for direct reads");
            }

            if (total < SmallPlan || part.Bytes < SmallFile)
            {
                return new FileReadMode(ReadMode.Buffered, "little is read");
            }

            return Judge(file.Examine(part.Offset, part.Length), fits ??= hostBytes <= HostDevice.Shared.FreeMemory - total);
        }
    }

    /// <summary>Chooses for a file of which much is read, where nothing is asked for.</summary>
    /// <param name="condition">What the file is like.</param>
    /// <param name="fitsInCache">Whether all that is read would fit into free memory beside what is loaded.</param>
    internal static FileReadMode Judge(in FileCondition condition, bool fitsInCache)
    {
        switch (condition)
        {
            case { FileSystem: FileSystemKind.Memory }:
                return Buffered("the file is in memory");
            case { FileSystem: FileSystemKind.Remote }:
                return Buffered("the file is not on a disk of this machine");
            case { FileSystem: not FileSystemKind.Disk }:
                return Buffered("direct reads are not known to help on this file system");
            case { Direct: null }:
                return Buffered("it cannot be opened for direct reads");
            case { ResidentShare: null }:
                return fitsInCache ? Buffered("it fits into free memory") : Direct("it would not fit into free memory beside the tensors", condition);
        }

        var share = condition.ResidentShare.Value;
        var resident = string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(share * 100):0} % of it is cached");
        if (share >= (fitsInCache ? MostlyResident : AlmostResident))
        {
            return Buffered(resident);
        }

        return Direct(fitsInCache ? resident : $"{resident}, and it would not fit into free memory beside the tensors", condition);

        static FileReadMode Buffered(string reason) => new(ReadMode.Buffered, reason);

        static FileReadMode Direct(string reason, in FileCondition condition) => new(ReadMode.Direct, reason, condition.Direct);
    }
}
