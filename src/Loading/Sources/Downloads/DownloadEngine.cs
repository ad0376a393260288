using System.Buffers;
using System.Globalization;
using System.Threading.Channels;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Loading;

/// <summary>
/// Fetches files in parallel ranges, goes on where an earlier run ended, and gives a file its name only when it is what its hash says. All files of an engine share its connections. Safe for any thread; each file is fetched
/// by one caller at a time, who holds its lock.
/// </summary>
/// <param name="reading">Has the turns of the connections, the bytes of a range and the retries.</param>
/// <param name="time">The clock.</param>
/// <param name="calls">The calls of the file system.</param>
internal sealed class DownloadEngine(RemoteReading reading, TimeProvider time, FileSystemCalls? calls = null)
{
    // What a read of a fast network gives at most; with 16 connections 8 MiB in all.
    private const int BufferBytes = 512 << 10;

    // What is hashed at a time: still in the processor's cache.
    private const int HashBytes = 256 << 10;

    // A connection that brings less before it is cut has brought nothing: else a server that cuts after every byte would be asked for ever.
    private const int LeastProgressBytes = 64 << 10;

    // After a body that was cut before anything had arrived; it doubles each time.
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(100);

    private readonly FileSystemCalls _calls = calls ?? FileSystemCalls.Native;

    private RemoteOptions Options => reading.Options;

    /// <summary>How many files are worth fetching at the same time.</summary>
    public int ParallelFiles => Options.Connections;

    /// <summary>Refuses what does not fit on the disk, all files together.</summary>
    /// <param name="folder">Where they go.</param>
    /// <param name="bytes">What they take beyond what is there.</param>
    /// <exception cref="IOException">There is less room than that.</exception>
    public void CheckRoom(string folder, long bytes)
    {
        if (bytes > 0 && _calls.CountFreeBytes(folder) is { } free && bytes > free)
        {
            throw new IOException(string.Create(
                CultureInfo.InvariantCulture,
                $"{folder}: there is no room for the {bytes} bytes that are to be downloaded: {free} bytes are free on the disk; make room, or choose another folder."));
        }
    }

    /// <summary>How many bytes of the disk a file takes beyond what an earlier run has reserved for it.</summary>
    /// <param name="target">Where it goes.</param>
    /// <param name="length">The size of the whole.</param>
    public long CountRoom(DownloadTarget target, long length) => length - Math.Min(length, Math.Max(target.CountPresent(length), PartialFile.CountAllocated(target.Stem, _calls)));

    /// <summary>Fetches a file.</summary>
    /// <param name="source">The remote file.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="tally">Counts the bytes; the file is expected there already.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <exception cref="RemoteException">It is not to be had, or is not what its hash says.</exception>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public async Task FetchAsync(IRemoteObject source, DownloadTarget target, DownloadTally tally, CancellationToken cancellationToken)
    {
        var failures = 0;
        while (true)
        {
            try
            {
                var (present, wrong) = await FetchOnceAsync(source, target, tally, cancellationToken).ConfigureAwait(false);
                if (wrong is null)
                {
                    return;
                }

                // What an earlier run left may be another's fault; what was fetched in one go is the server's.
                if (present == 0)
                {
                    throw new RemoteException(
                        RemoteFailure.Corrupt, source.Name, $"its content is not what its hash says: {target.Name} was expected, and {wrong} arrived. Nothing of it was kept; try again, and tell whoever runs the server.");
                }
            }
            catch (RemoteException exception) when (exception.Failure == RemoteFailure.Network && !source.TakesRanges && failures < Options.MaximumRetries)
            {
                // Without ranges there is only the beginning.
                await DelayAsync(exception, ++failures, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<(long Present, string? Wrong)> FetchOnceAsync(IRemoteObject source, DownloadTarget target, DownloadTally tally, CancellationToken cancellationToken)
    {
        if (!source.TakesRanges)
        {
            PartialFile.Delete(target.Stem);
        }

        using var partial = PartialFile.Open(
            target.Stem, source.Length, source.TakesRanges ? Options.RangeBytes : Math.Max(source.Length, 1), source.TakesRanges ? target.Prefix : null, target.IsChecked, _calls);
        tally.AddPresent(partial.PresentAtOpening);
        var counted = new FileTally(tally, partial.PresentAtOpening);
        try
        {
            var hash = await FetchAndHashAsync(source, partial, target, counted, cancellationToken).ConfigureAwait(false);
            if (hash is not null && hash != target.Name)
            {
                PartialFile.Delete(target.Stem);
                counted.TakeBack();
                return (partial.PresentAtOpening, hash);
            }

            cancellationToken.ThrowIfCancellationRequested();
            await Task.Run(() => partial.Complete(target.Path), CancellationToken.None).ConfigureAwait(false);
            return (partial.PresentAtOpening, null);
        }
        catch (RemoteException) when (!source.TakesRanges)
        {
            counted.TakeBack();
            throw;
        }
    }

    private async Task<string?> FetchAndHashAsync(IRemoteObject source, PartialFile partial, DownloadTarget target, FileTally tally, CancellationToken cancellationToken)
    {
        var written = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var hashing = target.IsChecked ? Task.Run(() => HashAsync(partial, target.Name, written.Reader, ending.Token), CancellationToken.None) : Task.FromResult<string?>(null);
        try
        {
            var ranges = Enumerable.Range(0, partial.RangeCount).Where(range => partial.MissingOf(range).Length > 0);
            var limits = new ParallelOptions { MaxDegreeOfParallelism = Options.Connections, CancellationToken = cancellationToken };
            await Parallel.ForEachAsync(ranges, limits, (range, token) => FetchRangeAsync(source, partial, range, tally, written.Writer, token)).ConfigureAwait(false);
            written.Writer.Complete();
            return await hashing.ConfigureAwait(false);
        }
        catch
        {
            // The file is closed next: nobody may read it any more.
            await ending.CancelAsync().ConfigureAwait(false);
            await ((Task)hashing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
    }

    private async ValueTask FetchRangeAsync(IRemoteObject source, PartialFile partial, int range, FileTally tally, ChannelWriter<bool> written, CancellationToken cancellationToken)
    {
        var failures = 0;
        while (partial.MissingOf(range) is { Length: > 0 } missing)
        {
            RemoteException? cut;
            using (await reading.TakeTurnAsync(cancellationToken).ConfigureAwait(false))
            {
                var body = await source.OpenRangeAsync(missing.Offset, missing.Length, cancellationToken).ConfigureAwait(false);
                await using (body.ConfigureAwait(false))
                {
                    cut = await CopyAsync(body, source.Name, partial, range, tally, written, cancellationToken).ConfigureAwait(false);
                }
            }

            if (cut is not null)
            {
                failures = missing.Length - partial.MissingOf(range).Length >= LeastProgressBytes ? 0 : failures + 1;
                if (!source.TakesRanges || failures > Options.MaximumRetries)
                {
                    throw cut;
                }

                await DelayAsync(cut, failures, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // Written as it comes: what a process holds when it is killed would be fetched once more.
    private static async Task<RemoteException?> CopyAsync(
        Stream body, string name, PartialFile partial, int range, FileTally tally, ChannelWriter<bool> written, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (partial.MissingOf(range).Length is > 0 and var missing)
            {
                int read;
                try
                {
                    read = await body.ReadAsync(buffer.AsMemory(0, (int)Math.Min(missing, buffer.Length)), cancellationToken).ConfigureAwait(false);
                }
                catch (RemoteException exception) when (exception.Failure == RemoteFailure.Network)
                {
                    return exception;
                }

                if (read == 0)
                {
                    return new RemoteException(RemoteFailure.Network, name, string.Create(CultureInfo.InvariantCulture, $"the answer ended {missing} bytes too early."));
                }

                partial.Append(range, buffer.AsSpan(0, read));
                tally.AddFetched(read);
                written.TryWrite(true);
            }

            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Follows the bytes that are there without a gap, out of the system's memory: the file is not read from the disk again.
    private static async Task<string?> HashAsync(PartialFile partial, string name, ChannelReader<bool> written, CancellationToken cancellationToken)
    {
        using var digest = ContentDigest.Begin(name, partial.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(HashBytes);
        try
        {
            var (hashed, range, isEnding) = (0L, 0, false);
            while (true)
            {
                var end = partial.FindPrefix(ref range);
                while (hashed < end)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var read = partial.Read(hashed, buffer.AsSpan(0, (int)Math.Min(end - hashed, HashBytes)));
                    digest.Append(buffer.AsSpan(0, read));
                    hashed += read;
                }

                if (isEnding || hashed == partial.Length)
                {
                    return digest.Finish();
                }

                isEnding = !await written.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
                written.TryRead(out _);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private Task DelayAsync(RemoteException cut, int failures, CancellationToken cancellationToken)
    {
        var delay = failures == 0 ? TimeSpan.Zero : FirstDelay * Math.Pow(2, Math.Min(failures - 1, 5));
        RemoteLog.TriedAgain(Options.Logger ?? NullLogger.Instance, cut.Address, cut.Problem, delay, Math.Max(1, failures), Options.MaximumRetries);
        return delay == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(delay, time, cancellationToken);
    }

    /// <summary>Counts one file, so that it can be taken back.</summary>
    private sealed class FileTally(DownloadTally tally, long present)
    {
        private long _bytes = present;

        public void AddFetched(int bytes)
        {
            Interlocked.Add(ref _bytes, bytes);
            tally.AddFetched(bytes);
        }

        public void TakeBack() => tally.AddPresent(-Interlocked.Exchange(ref _bytes, 0));
    }
}
