using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>The records of all members of a save, held against each other and against the files that they list.</summary>
internal sealed class SharedRecords
{
    // Between the two renames of another member that was first lie a few calls of the system; where a file system has no locks nothing
    // else tells when it is done. Five seconds in all: chosen, not measured.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    private const int Attempts = 100;

    private readonly string _folder;

    private SharedRecords(string folder, HashSet<string> names, ImmutableArray<ManifestFile> carried)
    {
        _folder = folder;
        Carried = carried;
        Names = names;
    }

    /// <summary>The base names of the records and of all files that they list.</summary>
    public HashSet<string> Names { get; }

    /// <summary>The files of no member that all records list.</summary>
    public ImmutableArray<ManifestFile> Carried { get; }

    /// <summary>Reads the records, all of which are there.</summary>
    /// <param name="folder">The save folder.</param>
    /// <param name="target">The target, for messages.</param>
    /// <param name="id">The identifier of the save.</param>
    /// <param name="memberCount">How many members there are.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="InvalidCheckpointException">They are not records of this save, or files that they list are not there.</exception>
    public static async Task<SharedRecords> ReadAsync(string folder, string target, string id, int memberCount, CancellationToken cancellationToken)
    {
        var records = ImmutableArray.CreateBuilder<RankManifest>(memberCount);
        for (var member = 0; member < memberCount; member++)
        {
            var path = Path.Combine(folder, RankManifest.FileName(member));
            var record = await RankManifest.ReadAsync(path, cancellationToken).ConfigureAwait(false);
            if (record.Rank != member || record.SaveId != id || record.WorldSize != memberCount)
            {
                throw ManifestJson.Invalid(
                    target,
                    $"the record of rank {member} is that of rank {record.Rank} of {record.WorldSize} in the save {Quoted.Name(record.SaveId)}, and this is the save "
                    + $"{Quoted.Name(id)} of {memberCount}; have that rank save again.");
            }

            records.Add(record);
        }

        var all = records.MoveToImmutable();
        RankManifest.EnsureTogether(target, all);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var record in all)
        {
            names.Add(RankManifest.FileName(record.Rank));
            foreach (var file in record.Files)
            {
                CheckSize(folder, target, record.Rank, file);
                names.Add(file.Name);
            }
        }

        return new SharedRecords(folder, names, all[0].Carried);
    }

    /// <summary>Reads the record that a member is about to put down.</summary>
    /// <param name="path">Where it will be, for messages.</param>
    /// <param name="content">Its bytes.</param>
    /// <param name="id">The identifier of the save.</param>
    /// <param name="member">The member.</param>
    /// <param name="memberCount">How many members there are.</param>
    /// <exception cref="ArgumentException">It cannot be read, or is another member's or save's.</exception>
    public static RankManifest ParseOwn(string path, ReadOnlyMemory<byte> content, string id, int member, int memberCount)
    {
        RankManifest record;
        try
        {
            record = RankManifest.Parse(path, content);
        }
        catch (CheckpointException exception)
        {
            throw new ArgumentException($"The record cannot be read: {exception.Message}", nameof(content), exception);
        }

        return record.SaveId == id && record.Rank == member && record.WorldSize == memberCount
            ? record
            : throw new ArgumentException(
                $"The record is that of rank {record.Rank} of {record.WorldSize} in the save {Quoted.Name(record.SaveId)}, and this is rank {member} of "
                + $"{memberCount} in {Quoted.Name(id)}.",
                nameof(content));
    }

    /// <summary>Refuses a save folder in which a file of no member is missing that the records list, or has another size.</summary>
    /// <exception cref="InvalidOperationException">It is; nobody has written it.</exception>
    public void EnsureCarried(string target)
    {
        foreach (var expected in Carried)
        {
            var file = new FileInfo(Path.Combine(_folder, expected.Name));
            if (!file.Exists || file.Length != expected.ByteLength)
            {
                throw new InvalidOperationException(
                    $"{target}: the records list the file {Quoted.Name(expected.Name)} of {expected.ByteLength} bytes, and the last member has {(file.Exists ? $"written {file.Length} bytes" : "not written it")}.");
            }
        }
    }

    /// <summary>Waits until a target has the records of a save, which another member puts there; false where it does not.</summary>
    public static async Task<bool> AppearAsync(string target, string id, int memberCount, FileSystemCalls calls, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (await HaveAppearedAsync(target, id, memberCount, cancellationToken).ConfigureAwait(false))
            {
                return true;
            }

            await calls.WaitAsync(Interval, cancellationToken).ConfigureAwait(false);
        }

        return false;
    }

    /// <summary>Removes what no record lists: what members left that were killed before they recorded it, and came again with other files.</summary>
    /// <param name="calls">The calls of the system.</param>
    /// <param name="held">The lock of the member that asks, which goes by itself.</param>
    public void RemoveUnlisted(FileSystemCalls calls, string held)
    {
        var unlisted = Directory.EnumerateFiles(_folder).Where(path => path != held && !Names.Contains(Path.GetFileName(path))).ToList();
        foreach (var path in unlisted)
        {
            calls.DeleteFile(path);
        }

        if (unlisted.Count > 0)
        {
            calls.FlushFolder(_folder);
        }
    }

    private static async Task<bool> HaveAppearedAsync(string target, string id, int memberCount, CancellationToken cancellationToken)
    {
        try
        {
            var records = await RankManifest.ReadFolderAsync(target, cancellationToken).ConfigureAwait(false);
            return !records.IsEmpty && records[0].SaveId == id && records.Length == memberCount;
        }
        catch (Exception exception) when (exception is IOException or CheckpointException)
        {
            // What is there is the previous state, or nothing yet.
            return false;
        }
    }

    private static void CheckSize(string folder, string target, int member, ManifestFile expected)
    {
        var file = new FileInfo(Path.Combine(folder, expected.Name));
        if (!file.Exists || file.Length != expected.ByteLength)
        {
            throw ManifestJson.Invalid(
                target,
                $"the file {Quoted.Name(expected.Name)} of rank {member} {(file.Exists ? $"has {file.Length} bytes" : "is not there")}, and its record says "
                + $"{expected.ByteLength} bytes; have that rank save again.");
        }
    }
}
