using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Reads archives of arrays (<c>.npz</c>): stored arrays where they stand in the file, deflated ones as sections behind it
/// (<see cref="AppendedSource"/>), which are inflated as they are read.
/// </summary>
internal static class NpzReader
{
    // Over a network each header is a round trip.
    private const int RemoteReads = 16;

    /// <summary>Whether an archive is one of arrays, by the names of its entries.</summary>
    public static bool HoldsArrays(ZipDirectory directory) => directory.Entries.Any(IsArray);

    /// <summary>Reads the headers of all arrays; no element is read.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="directory">Its directory.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>
    /// A tensor for each array, named by its entry without <c>.npy</c>. What else is in the archive is left out, with a warning.
    /// </returns>
    /// <exception cref="CheckpointException">An array breaks a rule, or is of a type that is not read.</exception>
    public static async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ZipDirectory directory, NumpyLimits limits, CancellationToken cancellationToken)
    {
        // As they lie in the file; sections lie behind it.
        ZipEntry[] entries = [.. directory.Entries.Where(IsArray).OrderBy(entry => entry.IsDeflated).ThenBy(entry => entry.DataOffset)];
        foreach (var entry in entries)
        {
            directory.ThrowIfUnreadable(entry);
        }

        var dtypes = await ReadDTypesAsync(file, directory, entries.Length, limits, cancellationToken).ConfigureAwait(false);
        var cursors = new InflationCursors();
        var sections = new InflatedSource[entries.Count(entry => entry.IsDeflated)];
        var stored = entries.Length - sections.Length;
        for (var i = 0; i < sections.Length; i++)
        {
            sections[i] = new InflatedSource(file, entries[stored + i], cursors);
        }

        try
        {
            var headers = new NpyHeader[entries.Length];
            await ReadHeadersAsync(
                file,
                entries.Length,
                async (i, token) => headers[i] = i < stored
                    ? await ReadHeaderAsync(file, entries[i], file.Source, entries[i].DataOffset, dtypes, limits, token).ConfigureAwait(false)
                    : await ReadHeaderAsync(file, entries[i], sections[i - stored], 0, dtypes, limits, token).ConfigureAwait(false),
                cancellationToken).ConfigureAwait(false);
            return Assemble(file, directory, entries, headers, sections, dtypes);
        }
        catch
        {
            foreach (var section in sections)
            {
                await section.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    private static FileContent Assemble(
        CheckpointFile file,
        ZipDirectory directory,
        ZipEntry[] entries,
        NpyHeader[] headers,
        InflatedSource[] sections,
        Dictionary<string, DType> dtypes)
    {
        var starts = new long[entries.Length];
        var end = file.Source.Length;
        for (var i = 0; i < entries.Length; i++)
        {
            starts[i] = entries[i].IsDeflated ? end : entries[i].DataOffset;
            end = entries[i].IsDeflated ? checked(end + entries[i].Length) : end;
        }

        SwappedRange[] swapped = [.. headers.Select((header, i) => header.Swapped(starts[i])).OfType<SwappedRange>()];
        var source = AppendedSource.Over(file.Source, sections);
        var opened = new CheckpointFile(
            file.Name, file.Path, NumpyConstants.Archive, swapped.Length > 0 ? ByteOrderSource.Over(source, swapped) : source)
        {
            Length = file.Length,
            Checksums = file.Checksums,
        };
        return new FileContent(
            [.. headers.Select((header, i) => header.Place(NameOf(entries[i]), opened, starts[i]))], new Dictionary<string, object>())
        {
            File = opened,
            Warnings = [.. Warnings(directory, headers.Zip(entries, (header, entry) => (NameOf(entry), header.Type.IsVoid)), dtypes)],
        };
    }

    private static async ValueTask ReadHeadersAsync(
        CheckpointFile file, int count, Func<int, CancellationToken, ValueTask> read, CancellationToken cancellationToken)
    {
        if (file.Source is not ISynchronousByteSource)
        {
            var options = new ParallelOptions { MaxDegreeOfParallelism = RemoteReads, CancellationToken = cancellationToken };
            await Parallel.ForAsync(0, count, options, read).ConfigureAwait(false);
            return;
        }

        for (var i = 0; i < count; i++)
        {
            await read(i, cancellationToken).ConfigureAwait(false);
        }
    }

    private static ValueTask<NpyHeader> ReadHeaderAsync(
        CheckpointFile file,
        ZipEntry entry,
        IByteSource source,
        long start,
        Dictionary<string, DType> dtypes,
        NumpyLimits limits,
        CancellationToken cancellationToken)
    {
        var name = NameOf(entry);
        return NpyHeaderReader.ReadAsync(
            source,
            start,
            entry.Length,
            new NpyPlace(file.Path, NumpyConstants.Archive, name, entry.IsDeflated ? null : start),
            limits,
            dtypes.TryGetValue(name, out var dtype) ? dtype : null,
            cancellationToken);
    }

    private static async ValueTask<Dictionary<string, DType>> ReadDTypesAsync(
        CheckpointFile file, ZipDirectory directory, int arrays, NumpyLimits limits, CancellationToken cancellationToken)
    {
        if (!directory.TryGet(NumpyConstants.DTypesEntry, out var entry))
        {
            return [];
        }

        // A line an array: its name, each character escaped at worst, and a type, which is far less than its header may say.
        var record = await directory.ReadRecordAsync(
            entry,
            directory.Entries.Sum(array => 6L * array.Name.Length) + (Math.Max(1, arrays) * (long)limits.MaximumHeaderBytes),
            $"{nameof(NumpyLimits)}.{nameof(NumpyLimits.MaximumHeaderBytes)}",
            cancellationToken).ConfigureAwait(false);
        return NpyDTypes.Read(record, file.Path, NumpyConstants.Archive);
    }

    private static IEnumerable<string> Warnings(
        ZipDirectory directory, IEnumerable<(string Name, bool IsVoid)> arrays, Dictionary<string, DType> dtypes)
    {
        const int shown = 3;
        // A folder has an entry of its own, which says nothing.
        string[] others = [.. directory.Entries
            .Where(entry => !IsArray(entry) && entry.Name != NumpyConstants.DTypesEntry && !entry.Name.EndsWith('/'))
            .Select(entry => entry.Name)];
        if (others.Length > 0)
        {
            yield return $"{others.Length} entries are no arrays and are left out: {List(others)}.";
        }

        var voids = arrays.Where(array => array.IsVoid).Select(array => array.Name).ToHashSet();
        string[] unused = [.. dtypes.Keys.Where(name => !voids.Contains(name))];
        if (unused.Length > 0)
        {
            yield return $"{NumpyConstants.DTypesEntry} tells types of what are no arrays of bytes without a meaning, and is not followed there: {List(unused)}.";
        }

        static string List(string[] names) => string.Join(", ", names.Take(shown).Select(Quoted.Name)) + (names.Length > shown ? ", …" : "");
    }

    private static bool IsArray(ZipEntry entry) => entry.Name.EndsWith(NumpyConstants.ArrayExtension, StringComparison.Ordinal);

    private static string NameOf(ZipEntry entry) => entry.Name[..^NumpyConstants.ArrayExtension.Length];
}
