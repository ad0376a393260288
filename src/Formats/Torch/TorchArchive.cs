using System.Globalization;
using System.Text;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Reads PyTorch's zip archives (<c>torch.save</c> since 1.6, <c>torch.jit.save</c>): the pickle, the byte order and the
/// version; of a TorchScript archive the parameters and buffers, and none of its code.
/// </summary>
internal static class TorchArchive
{
    // A version is a number and a line feed; a byte order is a word. What is longer is neither.
    private const long LargestText = 64;

    /// <summary>Whether an archive is one of PyTorch's: whether a record of it is a <c>data.pkl</c>.</summary>
    public static bool Matches(ZipDirectory directory) => directory.Entries.Any(IsPickle);

    /// <summary>Reads an archive.</summary>
    /// <param name="file">The file.</param>
    /// <param name="directory">Its directory.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointException">The archive breaks a rule, or its pickle asks for what is refused.</exception>
    public static async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ZipDirectory directory, TorchLimits limits, CancellationToken cancellationToken)
    {
        var entry = FindPickle(file, directory);
        var root = RootOf(entry);
        var version = await ReadVersionAsync(file, directory, root, cancellationToken).ConfigureAwait(false);
        var isBigEndian = await ReadByteOrderAsync(file, directory, root, cancellationToken).ConfigureAwait(false);
        var isScript = IsScript(directory, root);

        var pickle = await directory.ReadRecordAsync(
            entry, limits.MaximumPickleBytes, $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumPickleBytes)}", cancellationToken).ConfigureAwait(false);
        var globals = new TorchGlobals(limits.AllowUnknownGlobals, isScript);
        var reader = new PickleReader(
            pickle, limits.ForPickle(globals.Verdict, file.Path, file.Format, entry.IsStored ? entry.DataOffset : 0, TorchContent.HalfOfRest(file, pickle.Length)));
        var value = reader.Read(cancellationToken);
        var content = TorchContent.Make(
            file,
            value,
            new ArchiveStorages(file, directory, root + TorchConstants.StorageFolder, isBigEndian),
            limits,
            pickle.Length,
            new TorchHeader(
                isScript ? TorchContainer.TorchScript : TorchContainer.Zip, version, isBigEndian, root.TrimEnd('/'), PickleStream.ProtocolOf(pickle), 0),
            cancellationToken);
        return isScript && WarningOfConstants(directory, root) is { } warning ? content with { Warnings = [.. content.Warnings, warning] } : content;
    }

    // A frozen module has all its weights there, and would seem to have none.
    private static string? WarningOfConstants(ZipDirectory directory, string root)
    {
        var folder = root + TorchConstants.ConstantsFolder;
        var constants = directory.Entries.Count(entry => entry.Name.Length > folder.Length && entry.Name.StartsWith(folder, StringComparison.Ordinal));
        return constants == 0
            ? null
            : $"{(constants == 1 ? "one tensor is a constant" : $"{constants} tensors are constants")} of its code and not read: no parameter or buffer holds what is there. "
            + "Where these are the weights, the module was frozen (torch.jit.freeze); save it before that.";
    }

    private static bool IsPickle(ZipEntry entry) =>
        entry.Name == TorchConstants.PickleRecord || entry.Name.EndsWith("/" + TorchConstants.PickleRecord, StringComparison.Ordinal);

    /// <summary>Finds the one pickle of an archive, in the folder that all its records lie in.</summary>
    /// <param name="file">The file, for messages.</param>
    /// <param name="directory">Its directory.</param>
    /// <exception cref="InvalidCheckpointException">There is none, or more than one, or a record lies elsewhere.</exception>
    public static ZipEntry FindPickle(CheckpointFile file, ZipDirectory directory)
    {
        ZipEntry[] pickles = [.. directory.Entries.Where(IsPickle).Take(2)];
        var pickle = pickles switch
        {
            [var only] => only,
            [var first, var second] => throw Invalid(
                file,
                $"there are two pickles, {Quoted.Name(first.Name)} and {Quoted.Name(second.Name)}, and readers differ in which they take; an archive of PyTorch's has one.",
                second.HeaderOffset),
            _ => throw Invalid(file, $"it has no {TorchConstants.PickleRecord}, which every archive of PyTorch's has.", null),
        };
        var root = RootOf(pickle);
        return directory.Entries.FirstOrDefault(other => !other.Name.StartsWith(root, StringComparison.Ordinal)) is { } outside
            ? throw Invalid(
                file,
                $"zip entry {Quoted.Name(outside.Name)} lies outside {Quoted.Name(root)}, the folder of the pickle, which all records of an archive share: it was packed again in another way.",
                outside.HeaderOffset)
            : pickle;
    }

    /// <summary>Whether an archive has what only TorchScript's have.</summary>
    /// <param name="directory">Its directory.</param>
    /// <param name="root">The folder of its records, with its slash.</param>
    public static bool IsScript(ZipDirectory directory, string root) =>
        directory.Entries.Any(entry => entry.Name.StartsWith(root, StringComparison.Ordinal) && IsScript(entry.Name.AsSpan(root.Length)));

    private static string RootOf(ZipEntry pickle) => pickle.Name[..^TorchConstants.PickleRecord.Length];

    private static bool IsScript(ReadOnlySpan<char> name)
    {
        foreach (var record in TorchConstants.ScriptRecords)
        {
            if (record.EndsWith('/') ? name.StartsWith(record, StringComparison.Ordinal) : name.SequenceEqual(record))
            {
                return true;
            }
        }

        return false;
    }

    private static async ValueTask<int?> ReadVersionAsync(
        CheckpointFile file, ZipDirectory directory, string root, CancellationToken cancellationToken)
    {
        foreach (var record in TorchConstants.VersionRecords)
        {
            if (await ReadTextAsync(file, directory, root + record, cancellationToken).ConfigureAwait(false) is not var (text, offset))
            {
                continue;
            }

            // A number below 1 or above 10 is one that PyTorch refuses too.
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
                && version is >= TorchConstants.OldestVersion and <= TorchConstants.NewestVersion
                ? version
                : throw new InvalidCheckpointException(
                    CheckpointErrorCode.UnknownVersion,
                    file.Path,
                    $"the archive has version {Quoted.Name(text)}, and {TorchConstants.OldestVersion} to {TorchConstants.NewestVersion} are known.",
                    TorchConstants.Format,
                    offset);
        }

        return null;
    }

    private static async ValueTask<bool> ReadByteOrderAsync(
        CheckpointFile file, ZipDirectory directory, string root, CancellationToken cancellationToken) =>
        await ReadTextAsync(file, directory, root + TorchConstants.ByteOrderRecord, cancellationToken).ConfigureAwait(false) switch
        {
            null => false,
            ("little", _) => false,
            ("big", _) => true,
            var (text, offset) => throw Invalid(file, $"the byte order is {Quoted.Name(text)}; expected 'little' or 'big'.", offset),
        };

    private static async ValueTask<(string Text, long Offset)?> ReadTextAsync(
        CheckpointFile file, ZipDirectory directory, string name, CancellationToken cancellationToken)
    {
        if (!directory.TryGet(name, out var entry))
        {
            return null;
        }

        if (entry.Length > LargestText)
        {
            throw Invalid(file, $"record {Quoted.Name(name)} has {entry.Length} bytes, and is a number or a word.", entry.HeaderOffset);
        }

        var bytes = await directory.ReadRecordAsync(entry, entry.Length, "", cancellationToken).ConfigureAwait(false);
        return (Encoding.Latin1.GetString(bytes).Trim(), entry.DataOffset);
    }

    private static InvalidCheckpointException Invalid(CheckpointFile file, string problem, long? offset) =>
        new(CheckpointErrorCode.ArchiveInvalid, file.Path, problem, TorchConstants.Format, offset);
}
