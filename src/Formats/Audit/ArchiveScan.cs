using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats;

/// <summary>
/// Goes through a zip archive: the records that are pickles by their names wherever they lie, and arrays of objects; in an
/// archive that is not PyTorch's also what begins as one of these under another name.
/// </summary>
/// <param name="file">The archive.</param>
/// <param name="options">What is accepted.</param>
/// <param name="found">Takes what is found.</param>
/// <param name="budget">What all records share.</param>
internal sealed class ArchiveScan(CheckpointFile file, CheckpointOptions options, AuditFindings found, AuditBudget budget)
{
    private static readonly string[] PickleExtensions = [".pkl", ".pickle"];

    private readonly PickleScan _scan = new(file, options.Torch, budget);
    private readonly ArrayScan _arrays = new(file, options, found, budget);
    private readonly InflationCursors _cursors = new();

    /// <summary>Goes through the records in the order of the directory. One that is broken does not hide the others.</summary>
    /// <param name="cancellationToken">Cancels the reading, between records at the latest.</param>
    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        found.Container = AuditedContainer.ZipArchive;
        var directory = await ZipDirectory.ReadAsync(file, options.Zip, cancellationToken).ConfigureAwait(false);
        var isTorch = TorchArchive.Matches(directory);
        if (isTorch)
        {
            found.Container = AuditedContainer.TorchArchive;
        }
        else if (NpzReader.HoldsArrays(directory))
        {
            found.Container = AuditedContainer.NumpyArchive;
        }

        // Each record is asked for the same folders.
        var scripts = new Dictionary<string, bool>();
        foreach (var entry in directory.Entries.Where(entry => !entry.IsFolder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            budget.ThrowIfSpent();
            try
            {
                if (Array.Exists(PickleExtensions, extension => entry.Name.EndsWith(extension, StringComparison.OrdinalIgnoreCase)))
                {
                    await ScanPickleAsync(directory, entry, IsScript(entry), cancellationToken).ConfigureAwait(false);
                }
                else if (!isTorch || entry.Name.EndsWith(NumpyConstants.ArrayExtension, StringComparison.OrdinalIgnoreCase))
                {
                    await ScanByContentAsync(directory, entry, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (CheckpointException exception)
            {
                budget.SpendFailure();
                found.Pickles.Add(new PickleAudit(entry.Name, entry.IsStored ? entry.DataOffset : null, entry.Length) { Failure = exception });
            }
        }

        if (scripts.ContainsValue(true))
        {
            found.Container = AuditedContainer.TorchScript;
            found.Notes.Add("it is a TorchScript archive: there is code in it, which is never looked at here, and which PyTorch runs in an interpreter of its own.");
        }

        if (isTorch)
        {
            _ = TorchArchive.FindPickle(file, directory);
        }

        bool IsScript(ZipEntry entry)
        {
            var root = entry.Name[..(entry.Name.LastIndexOf('/') + 1)];
            if (!scripts.TryGetValue(root, out var isScript))
            {
                scripts.Add(root, isScript = isTorch && TorchArchive.IsScript(directory, root));
            }

            return isScript;
        }
    }

    private async ValueTask ScanPickleAsync(ZipDirectory directory, ZipEntry entry, bool isTorchScript, CancellationToken cancellationToken)
    {
        if (entry.IsDeflated)
        {
            budget.Inflate(entry.Name, entry.Length);
        }

        var bytes = await directory.ReadRecordAsync(
            entry, options.Torch.MaximumPickleBytes, $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumPickleBytes)}", cancellationToken).ConfigureAwait(false);
        found.Pickles.Add(_scan.Run(entry.Name, entry.IsStored ? entry.DataOffset : null, bytes, isTorchScript));
        if (_scan.Value is not null && _scan.Consumed < bytes.Length)
        {
            found.Notes.Add($"{bytes.Length - _scan.Consumed} bytes follow the pickle in record {Quoted.Name(entry.Name)}.");
        }
    }

    private async ValueTask ScanByContentAsync(ZipDirectory directory, ZipEntry entry, CancellationToken cancellationToken)
    {
        directory.ThrowIfUnreadable(entry);
        var inflated = entry.IsDeflated ? new InflatedSource(file, entry, _cursors) : null;
        try
        {
            var (source, start) = inflated is null ? (file.Source, entry.DataOffset) : ((IByteSource)inflated, 0L);
            var head = new byte[(int)Math.Min(FormatDetector.HeadBytes, entry.Length)];
            await source.ReadExactlyAsync(start, head, cancellationToken).ConfigureAwait(false);
            if (head.AsSpan().StartsWith(NumpyConstants.Magic))
            {
                await _arrays.RunAsync(entry.Name, source, start, entry.Length, inflated is null ? start : null, cancellationToken).ConfigureAwait(false);
            }
            else if (new TorchFormat(options.Torch).Matches(head))
            {
                await ScanPickleAsync(directory, entry, isTorchScript: false, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            if (inflated is not null)
            {
                await inflated.DisposeAsync().ConfigureAwait(false);
            }
        }
    }
}
