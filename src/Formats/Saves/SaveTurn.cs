namespace IlgpuLoader.Formats;

/// <summary>
/// Turns in the folder above a target: whoever begins, finishes or removes a save there does so alone. A turn is a <see cref="FolderLock"/>; disposing it gives it back.
/// </summary>
internal static class SaveTurn
{
    /// <summary>How long cleaning up waits for others in the same folder.</summary>
    /// <remarks>
    /// Chosen, not measured: the last member copies configuration and tokenizer in its turn, tens of megabytes, and forces them to disk. What is not
    /// cleaned up then waits for the next save that is complete.
    /// </remarks>
    private static readonly TimeSpan CleanUpTime = TimeSpan.FromSeconds(30);

    /// <summary>Waits for a turn, as long as it takes.</summary>
    /// <param name="target">The target's full path.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The folder above cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be opened.</exception>
    public static Task<FolderLock> TakeAsync(string target, FileSystemCalls calls, CancellationToken cancellationToken) =>
        FolderLock.TakeAsync(Path.GetDirectoryName(target)!, calls, cancellationToken);

    /// <summary>Waits for a turn to remove what a save has left, for 30 seconds.</summary>
    /// <param name="target">The target's full path.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The folder above cannot be opened, or others were at work in it all the time.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be opened.</exception>
    public static async Task<FolderLock> TakeToCleanUpAsync(string target, FileSystemCalls calls, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CleanUpTime);
        try
        {
            return await TakeAsync(target, calls, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{target}: others were at work in the folder above for {CleanUpTime.TotalSeconds:0} seconds; what this save left there is removed by the next that is complete.", exception);
        }
    }
}
