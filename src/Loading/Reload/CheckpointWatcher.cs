using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Waits until a folder, or a single file, is another checkpoint than the one that was loaded from it, and it is complete. What <see cref="HotModel.WatchAsync"/> does with a live model, for whoever loads
/// in another way. Not safe for several threads.
/// </summary>
/// <param name="folder">The folder or file; it need not be there yet.</param>
/// <param name="model">How what is there is opened: <see cref="HotModelOptions.Open"/>, <see cref="HotModelOptions.Sharded"/> and <see cref="HotModelOptions.Rank"/> are looked at.</param>
/// <param name="options">How it is watched.</param>
/// <param name="time">What measures the waiting.</param>
public sealed class CheckpointWatcher(string folder, HotModelOptions model, CheckpointWatchOptions options, TimeProvider time)
{
    /// <summary>Gives what the folder has whenever that is another checkpoint, which has not changed for a while and is complete. Ends with the token only.</summary>
    /// <param name="loaded">What was loaded from it last, or tried; asked at each look. Null for nothing.</param>
    /// <param name="cancellationToken">Ends the watching with an <see cref="OperationCanceledException"/>.</param>
    public async IAsyncEnumerable<CheckpointFingerprint> ChangesAsync(Func<CheckpointFingerprint?> loaded, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckpointFingerprint? candidate = null;
        long since = 0;
        while (true)
        {
            await Task.Delay(options.Interval, time, cancellationToken).ConfigureAwait(false);
            var seen = CheckpointFingerprint.Of(folder);
            if (seen is null || seen.Equals(loaded()))
            {
                candidate = null;
                continue;
            }

            if (!seen.Equals(candidate))
            {
                (candidate, since) = (seen, time.GetTimestamp());
            }

            if (time.GetElapsedTime(since) >= options.Debounce && await IsCompleteAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return seen;
            }
        }
    }

    private async ValueTask<bool> IsCompleteAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Directory.Exists(folder) && Directory.EnumerateFiles(folder).Any(path => RankManifest.IsFileName(Path.GetFileName(path.AsSpan()))))
            {
                await CheckRanksAsync(cancellationToken).ConfigureAwait(false);
            }
            else if (model.Sharded is { } sharded)
            {
                var state = await sharded.OpenAsync(folder, model.Rank, cancellationToken).ConfigureAwait(false);
                await state.DisposeAsync().ConfigureAwait(false);
            }
            else
            {
                // Every file that an index lists is there, and every header is whole and fits its file.
                var checkpoint = await Checkpoint.OpenAsync(folder, model.Open, cancellationToken).ConfigureAwait(false);
                await checkpoint.DisposeAsync().ConfigureAwait(false);
            }

            return true;
        }
        catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
        {
            // Most likely somebody is writing it: the next look shows.
            options.Warnings?.WarnOnce($"{Quoted.Name(folder)} has changed and is not loaded yet, since it is not complete: {exception.Message}");
            return false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // What waiting does not mend: the load meets it again, and says it.
            return true;
        }
    }

    // Of every rank of the world size there is the manifest, with all files at their sizes. Hashes are the load's to check: a look must cost nothing.
    private async ValueTask CheckRanksAsync(CancellationToken cancellationToken)
    {
        foreach (var manifest in await RankManifest.ReadFolderAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            foreach (var file in manifest.Files)
            {
                var info = new FileInfo(Path.Combine(folder, file.Name));
                if (info.Length != file.ByteLength)
                {
                    throw new IOException($"{info.FullName} has {info.Length} bytes, and rank {manifest.Rank}'s manifest says {file.ByteLength}.");
                }
            }
        }
    }
}
