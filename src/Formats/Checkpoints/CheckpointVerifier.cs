using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// Checks the structure of checkpoints: everything that opening checks, and a look at the end of each local file for the zeros
/// that an interrupted download leaves. Of what lies on another machine headers alone are read. Safe for any thread.
/// </summary>
public static class CheckpointVerifier
{
    // A mebibyte of zeros is not what training ends in; biases and padding that are zero are far smaller.
    private const int ZeroTailBytes = 1 << 20;

    /// <summary>Checks one file or folder. What is wrong with it is in the result, not thrown.</summary>
    /// <param name="path">The file, folder or index.</param>
    /// <param name="options">What to open and accept; null for the defaults.</param>
    /// <param name="inspect">
    /// A further check of the opened checkpoint, which throws as opening does where something is wrong; null for none.
    /// </param>
    /// <param name="cancellationToken">Cancels the check.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<VerificationResult> VerifyAsync(
        string path,
        CheckpointOptions? options = null,
        Func<Checkpoint, CancellationToken, Task>? inspect = null,
        CancellationToken cancellationToken = default)
    {
        var warnings = ImmutableArray.CreateBuilder<CheckpointWarning>();
        try
        {
            var checkpoint = await Checkpoint.OpenAsync(path, options, cancellationToken).ConfigureAwait(false);
            await using (checkpoint.ConfigureAwait(false))
            {
                warnings.AddRange(checkpoint.Warnings);
                foreach (var tensors in checkpoint.Tensors.GroupBy(tensor => tensor.File))
                {
                    await LookForZeroTailAsync(tensors.Key, tensors, warnings, cancellationToken).ConfigureAwait(false);
                }

                if (inspect is not null)
                {
                    await inspect(checkpoint, cancellationToken).ConfigureAwait(false);
                }

                return new VerificationResult(checkpoint.Path, null, warnings.ToImmutable());
            }
        }
        catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
        {
            // What was odd before the failure may be what explains it.
            return new VerificationResult(AddressScheme.WithoutSecrets(path), exception, warnings.ToImmutable());
        }
    }

    private static async Task LookForZeroTailAsync(
        CheckpointFile file,
        IEnumerable<TensorInfo> tensors,
        ImmutableArray<CheckpointWarning>.Builder warnings,
        CancellationToken cancellationToken)
    {
        // What a file holds compressed, or inside a pickle, lies behind its end and says nothing of how its own bytes end.
        var stored = StoredSize.Of([.. tensors.Where(tensor => tensor.Offset < file.Length)]);
        if (stored < ZeroTailBytes || file.Length < ZeroTailBytes || file.Source.FindRemote() is not null)
        {
            return;
        }

        var tail = new byte[ZeroTailBytes];
        await file.Source.ReadExactlyAsync(file.Length - tail.Length, tail, cancellationToken).ConfigureAwait(false);
        if (!tail.AsSpan().ContainsAnyExcept((byte)0))
        {
            warnings.Add(new CheckpointWarning(
                file.Path,
                $"the last {ZeroTailBytes} bytes are zeros, as an interrupted download leaves them; compare the file with its source."));
        }
    }
}
