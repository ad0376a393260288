using System.Numerics;
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
    /// <param name="cancellationToken">Cancels the reading, between pickles at the latest.</param>
    public static async ValueTask RunAsync(CheckpointFile file, TorchLimits limits, AuditFindings found, CancellationToken cancellationToken)
    {
        var stream = new PickleStream(file, limits);
        var scan = new PickleScan(file, limits);
        found.Container = AuditedContainer.Pickle;
        var isStream = false;
        for (var part = 0; part < Parts.Length; part++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var offset = stream.Position;
            var bytes = await stream.NextAsync(cancellationToken).ConfigureAwait(false);
            var pickle = scan.Run(part == 0 ? "pickle" : $"pickle {part + 1}", offset, bytes, isTorchScript: false);
            if (part == 0 && scan.Value is BigInteger magic && magic == TorchConstants.StreamMagic)
            {
                isStream = true;
                found.Container = AuditedContainer.TorchStream;
            }

            found.Pickles.Add(isStream ? pickle with { Name = Parts[part] } : pickle);
            if (pickle.Failure is not null)
            {
                found.IsText = part == 0 && scan.IsText;
                return;
            }

            // A first pickle that makes the magic number of a call is followed by the others when Python reads it.
            if (!isStream && !await PickleFollowsAsync(file, stream.Position, limits, cancellationToken).ConfigureAwait(false))
            {
                break;
            }
        }

        if (!isStream && stream.Position < file.Length)
        {
            found.Notes.Add($"{file.Length - stream.Position} bytes follow the last pickle, which pickle.load leaves alone.");
        }
    }

    private static async ValueTask<bool> PickleFollowsAsync(CheckpointFile file, long position, TorchLimits limits, CancellationToken cancellationToken)
    {
        var head = new byte[(int)Math.Min(FormatDetector.HeadBytes, file.Length - position)];
        await file.Source.ReadExactlyAsync(position, head, cancellationToken).ConfigureAwait(false);
        return new TorchFormat(limits).Matches(head);
    }
}
