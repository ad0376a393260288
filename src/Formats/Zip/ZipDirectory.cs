namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// The directory of a zip archive, read and held against the header before each record: names that are paths inside the
/// archive and occur once, records that neither overlap nor leave the file. No record is read before it is asked for.
/// Immutable; safe for any thread while the file's source is.
/// </summary>
internal sealed class ZipDirectory
{
    private readonly CheckpointFile _file;
    private readonly ZipLimits _limits;
    private readonly ZipEntry[] _entries;
    private readonly Dictionary<string, ZipEntry> _byName;

    private ZipDirectory(CheckpointFile file, ZipLimits limits, ZipEntry[] entries, Dictionary<string, ZipEntry> byName, int bytesBehind)
    {
        Warning = bytesBehind == 0
            ? null
            : $"{bytesBehind} bytes follow the end of the zip archive, belong to none of its records and are not looked at; compare the file with its source.";
        _file = file;
        _limits = limits;
        _entries = entries;
        _byName = byName;
    }

    /// <summary>What is odd about the archive but does not keep it from being read, in a sentence; null for nothing.</summary>
    public string? Warning { get; }

    /// <summary>The entries, in the order of the directory.</summary>
    public IReadOnlyList<ZipEntry> Entries => _entries;

    /// <summary>Reads the directory of an archive and validates it, with the default limits.</summary>
    /// <inheritdoc cref="ReadAsync(CheckpointFile, ZipLimits, CancellationToken)"/>
    public static ValueTask<ZipDirectory> ReadAsync(CheckpointFile file, CancellationToken cancellationToken) =>
        ReadAsync(file, ZipLimits.Default, cancellationToken);

    /// <summary>Reads the directory of an archive and validates it.</summary>
    /// <param name="file">The archive; it stays the caller's.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="cancellationToken">Cancels the reading, between reads at the latest.</param>
    /// <exception cref="InvalidCheckpointException">The file is no zip archive, is damaged, or contradicts itself.</exception>
    /// <exception cref="CheckpointLimitException">The directory is larger than the limits allow.</exception>
    public static async ValueTask<ZipDirectory> ReadAsync(CheckpointFile file, ZipLimits limits, CancellationToken cancellationToken)
    {
        var end = await ZipEnd.ReadAsync(file, cancellationToken).ConfigureAwait(false);
        ThrowIfAbove("number of zip entries", end.EntryCount, limits.MaximumEntries, nameof(ZipLimits.MaximumEntries), file);
        ThrowIfAbove("length of the zip directory", end.DirectoryBytes, limits.MaximumDirectoryBytes, nameof(ZipLimits.MaximumDirectoryBytes), file);
        var directory = await ReadDirectoryAsync(file, end, cancellationToken).ConfigureAwait(false);
        var entries = ZipDirectoryParser.Parse(file, directory.Span, end, out var nameOffsets);
        var byName = new Dictionary<string, ZipEntry>(entries.Length, StringComparer.Ordinal);
        for (var i = 0; i < entries.Length; i++)
        {
            // Which of two a reader takes differs; scanners and loaders have been made to see different ones.
            if (!byName.TryAdd(entries[i].Name, entries[i]))
            {
                throw ZipFailure.Of(
                    file,
                    entries[i].Name,
                    $"two entries have this name, at byte {byName[entries[i].Name].HeaderOffset} and at byte {entries[i].HeaderOffset}; names occur once.",
                    end.Directory + nameOffsets[i]);
            }
        }

        await new ZipLocalHeaders(file, directory, entries, nameOffsets, end.Directory).LocateAsync(cancellationToken).ConfigureAwait(false);
        return new ZipDirectory(file, limits, entries, byName, end.BytesBehind);
    }

    /// <summary>Finds an entry by its whole name.</summary>
    public bool TryGet(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ZipEntry? entry) => _byName.TryGetValue(name, out entry);

    /// <summary>Reads a small record whole, inflating it where it is compressed.</summary>
    /// <param name="entry">An entry of this directory.</param>
    /// <param name="maximumBytes">The most bytes that it may have.</param>
    /// <param name="limitOption">The option that raises <paramref name="maximumBytes"/>, for the message.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="InvalidCheckpointException">The bytes are not those that the directory describes.</exception>
    /// <exception cref="CheckpointLimitException">The record is larger than is allowed.</exception>
    /// <exception cref="UnsupportedCheckpointException">The record is encrypted, or compressed with another method than deflate.</exception>
    public async ValueTask<byte[]> ReadRecordAsync(ZipEntry entry, long maximumBytes, string limitOption, CancellationToken cancellationToken)
    {
        ThrowIfUnreadable(entry);
        var limit = $"length of zip entry {Quoted.Name(entry.Name)}";
        if (entry.Length > maximumBytes)
        {
            throw new CheckpointLimitException(limit, entry.Length, maximumBytes, limitOption, _file.Path, _file.Format);
        }

        if (entry.IsDeflated)
        {
            ThrowIfAbove($"{limit} when it is inflated", entry.Length, _limits.MaximumInflatedBytes, nameof(ZipLimits.MaximumInflatedBytes), _file);
            InflationCursor.ThrowIfImpossible(_file, entry);
        }

        var bytes = new byte[entry.Length];
        if (entry.IsStored)
        {
            await _file.Source.ReadExactlyAsync(entry.DataOffset, bytes, cancellationToken).ConfigureAwait(false);
            ZipFailure.ThrowIfChanged(_file, entry, Crc32.Compute(bytes));
            return bytes;
        }

        var cursor = new InflationCursor(_file, entry);
        await using (cursor.ConfigureAwait(false))
        {
            await cursor.ReadAsync(bytes, cancellationToken).ConfigureAwait(false);
            return bytes;
        }
    }

    /// <summary>Refuses a record whose bytes cannot be had, whatever is asked of them.</summary>
    /// <exception cref="UnsupportedCheckpointException">The record is encrypted, or compressed with another method than deflate.</exception>
    public void ThrowIfUnreadable(ZipEntry entry)
    {
        if (entry.IsEncrypted)
        {
            throw new UnsupportedCheckpointException(
                "an encrypted zip entry",
                _file.Path,
                $"zip entry {Quoted.Name(entry.Name)} is encrypted (at byte {entry.HeaderOffset}); unpack the archive with its password and pack it again without one.",
                _file.Format);
        }

        if (!entry.IsStored && !entry.IsDeflated)
        {
            throw new UnsupportedCheckpointException(
                "a zip compression method",
                _file.Path,
                $"zip entry {Quoted.Name(entry.Name)} is compressed with method {entry.Method} (at byte {entry.HeaderOffset}); stored (0) and deflated (8) entries can be read. "
                + "Pack the archive again without compression.",
                _file.Format);
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>> ReadDirectoryAsync(CheckpointFile file, ZipEnd end, CancellationToken cancellationToken)
    {
        var start = file.Length - end.Tail.Length;
        if (end.Directory >= start)
        {
            return end.Tail.Slice((int)(end.Directory - start), (int)end.DirectoryBytes);
        }

        var directory = new byte[end.DirectoryBytes];
        await file.Source.ReadExactlyAsync(end.Directory, directory, cancellationToken).ConfigureAwait(false);
        return directory;
    }

    private static void ThrowIfAbove(string limit, long actual, long maximum, string option, CheckpointFile file)
    {
        if (actual > maximum)
        {
            throw new CheckpointLimitException(limit, actual, maximum, $"{nameof(ZipLimits)}.{option}", file.Path, file.Format);
        }
    }
}
