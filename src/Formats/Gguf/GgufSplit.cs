using System.Globalization;
using System.Text.RegularExpressions;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Models that were split into several files: how the files are named, and whether they belong together (llama.cpp,
/// src/llama-model-loader.cpp; formats.md 2.2).
/// </summary>
internal static partial class GgufSplit
{
    /// <summary>The base name without part number and ending, or all of it without its ending where there is no number.</summary>
    /// <param name="name">The base name of a file.</param>
    /// <param name="count">How many parts the name says there are; 1 where it says nothing.</param>
    public static string PrefixOf(string name, out int count)
    {
        var match = PartName().Match(name);
        count = match.Success ? int.Parse(match.Groups["count"].ValueSpan, CultureInfo.InvariantCulture) : 1;
        return match.Success ? match.Groups["prefix"].Value : Path.GetFileNameWithoutExtension(name);
    }

    /// <summary>The base names that the other parts of the model have, by the name of one; none where it has no number.</summary>
    /// <param name="name">The base name of a file.</param>
    public static IEnumerable<string> NamesBeside(string name)
    {
        var prefix = PrefixOf(name, out var count);
        return count > 1 ? Enumerable.Range(0, count).Select(part => NameOf(prefix, part, count, Path.GetExtension(name))).Where(other => other != name) : [];
    }

    /// <summary>The base names of all parts of the model that a file is a part of, in their order; the file alone where it is none.</summary>
    /// <param name="file">The file that was given.</param>
    /// <param name="place">Where it lies.</param>
    /// <param name="cancellationToken">Ends the looking for the others.</param>
    /// <exception cref="InvalidCheckpointException">The file's name or numbers are not those of a part, or a part is missing.</exception>
    public static async ValueTask<IReadOnlyList<string>> PartsOfAsync(CheckpointFile file, ICheckpointPlace place, CancellationToken cancellationToken)
    {
        if (file.Header is not GgufHeader { SplitCount: { } count and not (0 or 1) } header)
        {
            await ThrowIfPartsAreBesideAsync(file, place, cancellationToken).ConfigureAwait(false);
            return [file.Name];
        }

        // Five digits name no more.
        const int mostParts = 99_999;
        if (count is < 0 or > mostParts || header.SplitNumber is not { } number || number < 0 || number >= count)
        {
            throw Invalid(
                file,
                $"its header says that it is part {header.SplitNumber?.ToString() ?? "unknown"} (from 0) of {count}; the keys "
                + $"{GgufConstants.SplitNumberKey} and {GgufConstants.SplitCountKey} are damaged.");
        }

        var prefix = PrefixOf(file.Name, out _);
        var extension = Path.GetExtension(file.Name);
        if (file.Name != NameOf(prefix, number, count, extension))
        {
            throw Invalid(
                file,
                $"its header says that it is part {number + 1} of {count}, so its name must end in "
                + $"{Quoted.Name(NameOf("", number, count, extension))} for the other parts to be found; give all parts the names they had.");
        }

        string[] names = [.. Enumerable.Range(0, (int)count).Select(part => NameOf(prefix, part, count, extension))];
        var missing = new List<string>();
        foreach (var name in names)
        {
            if (!await place.ExistsAsync(name, cancellationToken).ConfigureAwait(false))
            {
                missing.Add(name);
            }
        }

        return missing.Count == 0 ? names : throw Missing(file, missing, count);
    }

    /// <summary>What to say of a file that is opened without the other parts of its model, as a sentence; null for a whole model.</summary>
    public static string? WarningOfPart(CheckpointFile file) =>
        file.Header is GgufHeader { SplitCount: { } count and not (0 or 1) } header
            ? $"its header says that it is part {Describe(header.SplitNumber + 1)} of {count} of a model, and a source of bytes is opened "
              + "without the others: only its own tensors are there; open it by its path for all of them."
            : null;

    /// <summary>Checks that opened files are all the parts of one model, in their order.</summary>
    /// <param name="files">The files and what their headers say.</param>
    /// <exception cref="InvalidCheckpointException">A number or the count of tensors is wrong, or two parts have one tensor.</exception>
    public static void Check(IReadOnlyList<(CheckpointFile File, FileContent Content)> files)
    {
        var names = new Dictionary<string, CheckpointFile>();
        for (var i = 0; i < files.Count; i++)
        {
            var (file, content) = files[i];
            if (file.Header is not GgufHeader header)
            {
                throw Invalid(
                    file,
                    $"by its name it is part {i + 1} of {files.Count} of a GGUF model, and it is a {file.Format} file: it was renamed, or belongs elsewhere.");
            }

            if (header.SplitCount != files.Count || header.SplitNumber != i)
            {
                throw Invalid(
                    file,
                    $"by its name it is part {i + 1} of {files.Count}, and its header says {Describe(header.SplitNumber + 1)} of "
                    + $"{Describe(header.SplitCount)}: it belongs to another model, or was renamed.");
            }

            foreach (var tensor in content.Tensors.Select(tensor => tensor.Name).Concat(content.Unreadable.Select(tensor => tensor.Name)))
            {
                if (!names.TryAdd(tensor, file))
                {
                    throw new InvalidCheckpointException(
                        CheckpointErrorCode.DuplicateTensor,
                        file.Path,
                        $"it is also in {Quoted.Name(names[tensor].Name)}: the parts are not of one model; fetch them again.",
                        GgufConstants.Format,
                        tensor: tensor);
                }
            }
        }

        var first = files[0].File;
        if (((GgufHeader)first.Header!).TryGetInteger(GgufConstants.SplitTensorsKey, out var claimed) && claimed != names.Count)
        {
            throw Invalid(
                first, $"{GgufConstants.SplitTensorsKey} says {claimed} tensors, and all parts have {names.Count}: a part is not of this model.");
        }
    }

    // A set of parts without numbers in their headers would be opened as its first file alone.
    private static async ValueTask ThrowIfPartsAreBesideAsync(CheckpointFile file, ICheckpointPlace place, CancellationToken cancellationToken)
    {
        _ = PrefixOf(file.Name, out var count);
        if (file.Header is GgufHeader && count > 1)
        {
            foreach (var other in NamesBeside(file.Name))
            {
                if (await place.ExistsAsync(other, cancellationToken).ConfigureAwait(false))
                {
                    throw Invalid(
                        file,
                        $"by its name it is one of {count} parts, and {Quoted.Name(other)} lies beside it, but its header has no "
                        + $"{GgufConstants.SplitCountKey}: split the model again with llama.cpp's gguf-split, or rename the file if it is whole.");
                }
            }
        }
    }

    private static string Describe(long? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "nothing";

    private static string NameOf(string prefix, long number, long count, string extension) =>
        string.Create(CultureInfo.InvariantCulture, $"{prefix}-{number + 1:D5}-of-{count:D5}{extension}");

    private static InvalidCheckpointException Missing(CheckpointFile file, List<string> missing, long count)
    {
        const int shown = 3;
        return new InvalidCheckpointException(
            CheckpointErrorCode.ShardMissing,
            file.Path,
            $"the model has {count} parts, and {(missing.Count == 1 ? "one does" : $"{missing.Count} do")} not exist: "
            + $"{string.Join(", ", missing.Take(shown).Select(Quoted.Name))}{(missing.Count > shown ? ", …" : "")}; fetch what is missing.",
            GgufConstants.Format);
    }

    private static InvalidCheckpointException Invalid(CheckpointFile file, string problem) =>
        new(CheckpointErrorCode.SplitInvalid, file.Path, problem, GgufConstants.Format);

    [GeneratedRegex(
        @"^(?<prefix>.*)-[0-9]{5}-of-(?<count>[0-9]{5})\.gguf$",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex PartName();
}
