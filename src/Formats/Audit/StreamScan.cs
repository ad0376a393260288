using System.Numerics;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>Goes through the pickles at the beginning of a file: one of Python's, or the five of PyTorch's before 1.6.</summary>
internal static class StreamScan
{
    private static readonly string[] Parts = ["magic number", "protocol", "system", "object", "storage keys"];

    /// <summary>Goes through them, as far as they reach.</summary>
    /// <param name="file">The file.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="found">Takes what is found as it is.</param>
    /// <param name="budget">What the pickles of the file share.</param>
    /// <param name="cancellationToken">Cancels the reading, between pickles at the latest.</param>
    public static async ValueTask RunAsync(
        CheckpointFile file, TorchLimits limits, AuditFindings found, AuditBudget budget, CancellationToken cancellationToken)
    {
        var stream = new PickleStream(file, limits);
        var scan = new PickleScan(file, limits, budget);
        found.Container = AuditedContainer.Pickle;
        var (isStream, isObject, end) = (false, false, 0L);
        for (var part = 0; part < Parts.Length && (part == 0 || isStream || stream.Position < file.Length); part++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            budget.ThrowIfSpent();
            var isExpected = part == 0 || isStream || await PickleFollowsAsync(file, end, limits, cancellationToken).ConfigureAwait(false);
            PickleAudit pickle;
            try
            {
                var bytes = await stream.NextAsync(cancellationToken).ConfigureAwait(false);
                pickle = scan.Run(part == 0 ? "pickle" : $"pickle {part + 1}", end, bytes, isTorchScript: false);
            }
            catch (CheckpointLimitException) when (!isExpected)
            {
                // What follows is no pickle as far as anyone knows, and its length none.
                break;
            }

            if (part == 0)
            {
                isStream = scan.Value is BigInteger magic && magic == TorchConstants.StreamMagic;
                found.Container = isStream ? AuditedContainer.TorchStream : found.Container;

                // Python asks such a value whether it differs from the magic number, and an empty array says that it does not.
                isObject = scan.Value is PickleObject or PickleGlobal or PickleStorageReference;
            }

            if (pickle.Failure is not null && !scan.IsText)
            {
                pickle = await WalkAsync(file, limits, pickle, cancellationToken).ConfigureAwait(false);
            }

            // A first pickle that makes the magic number of a call is followed by the others when Python reads it.
            if (!isExpected && !AuditFindings.NamesModule(pickle) && pickle.RefusedOpcodes.IsEmpty && !(isObject && pickle.Failure is null))
            {
                break;
            }

            found.Pickles.Add(isStream ? pickle with { Name = Parts[part] } : pickle);
            if (pickle.Failure is not null)
            {
                found.IsText = part == 0 && scan.IsText;
                return;
            }

            end = stream.Position;
        }

        if (!isStream && end < file.Length)
        {
            found.Notes.Add($"{file.Length - end} bytes follow the last pickle, which pickle.load leaves alone.");
        }
    }

    // Python may go past what the stack machine stopped at.
    private static async ValueTask<PickleAudit> WalkAsync(CheckpointFile file, TorchLimits limits, PickleAudit pickle, CancellationToken cancellationToken)
    {
        var walked = await PickleWalk.RunAsync(file, pickle.Offset ?? 0, limits, cancellationToken).ConfigureAwait(false);
        return pickle with { Globals = [.. pickle.Globals.Concat(PickleScan.Globals(walked, isTorchScript: false)).DistinctBy(global => (global.Module, global.Name))] };
    }

    private static async ValueTask<bool> PickleFollowsAsync(CheckpointFile file, long position, TorchLimits limits, CancellationToken cancellationToken)
    {
        var head = new byte[(int)Math.Min(FormatDetector.HeadBytes, file.Length - position)];
        await file.Source.ReadExactlyAsync(position, head, cancellationToken).ConfigureAwait(false);
        return new TorchFormat(limits).Matches(head);
    }
}
