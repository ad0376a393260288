using System.Runtime.ExceptionServices;
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
    /// A tensor for each array, named by its entry without <c>.npy</c>. What else is in the archive is left out, with a warning; so
    /// are arrays of types that are not read, such as strings.
    /// </returns>
    /// <exception cref="CheckpointException">An array breaks a rule, or none is of a type that is read.</exception>
    public static async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ZipDirectory directory, NumpyLimits limits, CancellationToken cancellationToken)
    {
        // As they lie in the file; sections lie behind it.
        ZipEntry[] entries = [.. directory.Entries.Where(IsArray).OrderBy(entry => entry.IsDeflated).ThenBy(entry => entry.DataOffset)];
        foreach (var entry in entries)
        {
            directory.ThrowIfUnreadable(entry);
        }

        var cursors = new InflationCursors();
        var sections = new InflatedSource[entries.Count(entry => entry.IsDeflated)];
        var stored = entries.Length - sections.Length;
        for (var i = 0; i < sections.Length; i++)
        {
            sections[i] = new InflatedSource(file, entries[stored + i], cursors);
        }

        try
        {
            var headers = new NpyHeader?[entries.Length];
            var voids = new NpyFields?[entries.Length];
            var leftOut = new NpzLeftOut?[entries.Length];
            await ReadHeadersAsync(
                file,
                entries.Length,
                async (i, token) =>
                {
                    var (source, start, place) = i < stored
                        ? (file.Source, entries[i].DataOffset, PlaceOf(entries[i]))
                        : (sections[i - stored], 0, PlaceOf(entries[i]));
                    var fields = await NpyHeaderReader.ReadFieldsAsync(source, start, entries[i].Length, place, limits, token).ConfigureAwait(false);
                    try
                    {
                        if (NpyHeaderReader.TypeOf(fields, place).IsVoid)
                        {
                            voids[i] = fields;
                            return;
                        }
                    }
                    catch (UnsupportedCheckpointException exception)
                    {
                        // Names of labels beside the weights, say: the weights are no worse for them.
                        leftOut[i] = new NpzLeftOut(place.Tensor, exception, NpyType.HoldsObjects(fields.Values["descr"]));
                        return;
                    }

                    headers[i] = NpyHeaderReader.Interpret(fields, entries[i].Length, place, null);
                },
                cancellationToken).ConfigureAwait(false);
            if (leftOut is [{ } first, ..] && Array.TrueForAll(leftOut, array => array is not null))
            {
                ExceptionDispatchInfo.Throw(first.Refusal);
            }

            HashSet<string> untold = [.. entries.Where((_, i) => voids[i] is not null).Select(NameOf)];
            var dtypes = await ReadDTypesAsync(file, directory, untold, cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < entries.Length; i++)
            {
                if (voids[i] is { } fields)
                {
                    DType? dtype = dtypes.TryGetValue(NameOf(entries[i]), out var told) ? told : null;
                    headers[i] = NpyHeaderReader.Interpret(fields, entries[i].Length, PlaceOf(entries[i]), dtype);
                }
            }

            string[] warnings =
            [
                .. NpzLeftOut.Warnings([.. leftOut.OfType<NpzLeftOut>()]),
                .. Warnings(directory, [.. dtypes.Keys.Where(name => !untold.Contains(name))]),
            ];
            InflatedSource[] read = [.. sections.Where((_, i) => leftOut[stored + i] is null)];
            var content = Assemble(
                file, [.. entries.Where((_, i) => leftOut[i] is null)], [.. headers.OfType<NpyHeader>()], read, warnings);
            foreach (var section in sections.Except(read))
            {
                await section.DisposeAsync().ConfigureAwait(false);
            }

            return content;
        }
        catch
        {
            foreach (var section in sections)
            {
                await section.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }

        NpyPlace PlaceOf(ZipEntry entry) => new(file.Path, NumpyConstants.Archive, NameOf(entry), entry.IsDeflated ? null : entry.DataOffset);
    }

    private static FileContent Assemble(
        CheckpointFile file,
        ZipEntry[] entries,
        NpyHeader[] headers,
        InflatedSource[] sections,
        string[] warnings)
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
            Warnings = warnings,
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

    // Read once it is known which arrays need it, so that it cannot be larger than those: an entry of a few bytes in the
    // directory allows nothing.
    private static async ValueTask<Dictionary<string, DType>> ReadDTypesAsync(
        CheckpointFile file, ZipDirectory directory, HashSet<string> untold, CancellationToken cancellationToken)
    {
        // Braces and line ends. A line an array: its name, each character escaped at worst, a type of a few letters, and room
        // for quotes, spaces and what stands between.
        const long frameBytes = 4096;
        const long lineBytes = 128;
        const long escapedBytes = 6;
        if (!directory.TryGet(NumpyConstants.DTypesEntry, out var entry))
        {
            return [];
        }

        var longest = frameBytes + untold.Sum(name => lineBytes + (escapedBytes * name.Length));
        if (entry.Length > longest)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.MetadataInvalid,
                file.Path,
                $"{NumpyConstants.DTypesEntry} has {entry.Length} bytes, and the types of the {untold.Count} arrays that need it take no more than {longest}; "
                + "it is none of ours: pack the archive again without it.",
                NumpyConstants.Archive,
                entry.HeaderOffset);
        }

        var record = await directory.ReadRecordAsync(entry, longest, NumpyConstants.DTypesEntry, cancellationToken).ConfigureAwait(false);
        return NpyDTypes.Read(record, file.Path, NumpyConstants.Archive);
    }

    private static IEnumerable<string> Warnings(ZipDirectory directory, string[] unused)
    {
        // A folder has an entry of its own, which says nothing.
        string[] others = [.. directory.Entries
            .Where(entry => !IsArray(entry) && entry.Name != NumpyConstants.DTypesEntry && !entry.Name.EndsWith('/'))
            .Select(entry => entry.Name)];
        if (others.Length > 0)
        {
            yield return $"{others.Length} entries are no arrays and are left out: {NpzLeftOut.List(others)}.";
        }

        if (unused.Length > 0)
        {
            yield return $"{NumpyConstants.DTypesEntry} tells types of what are no arrays of bytes without a meaning, and is not followed there: {NpzLeftOut.List(unused)}.";
        }
    }

    private static bool IsArray(ZipEntry entry) => entry.Name.EndsWith(NumpyConstants.ArrayExtension, StringComparison.Ordinal);

    private static string NameOf(ZipEntry entry) => entry.Name[..^NumpyConstants.ArrayExtension.Length];
}
