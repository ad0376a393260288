using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a plan reads where most of its bytes come from other machines.</summary>
/// <param name="Lanes">The lanes that are worth it where the caller does not say.</param>
/// <param name="ReadBytes">The bytes that a read is best asked for.</param>
internal readonly record struct RemoteReads(int Lanes, int ReadBytes)
{
    /// <summary>Finds how the files of a checkpoint are best read.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="parts">The part of each file that is read, by its index.</param>
    /// <returns>Null where most bytes are those of local files.</returns>
    public static RemoteReads? Of(Checkpoint checkpoint, FilePart[] parts)
    {
        var (remote, all) = (0L, 0L);
        var (lanes, bytes) = (0, 0);
        for (var i = 0; i < parts.Length; i++)
        {
            all += parts[i].Bytes;
            if (checkpoint.Files[i].Source.FindRemote() is { } source)
            {
                remote += parts[i].Bytes;
                (lanes, bytes) = (Math.Max(lanes, source.ParallelReads), Math.Max(bytes, source.PreferredReadBytes));
            }
        }

        return remote > all / 2 ? new RemoteReads(lanes, bytes) : null;
    }
}
