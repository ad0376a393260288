using IlgpuLoader.Formats;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading;

/// <summary>Brings files of a repository into a cache or a folder, each once, whoever else does so at the same time. Safe for any thread.</summary>
/// <param name="client">Asks the Hub.</param>
/// <param name="engine">Downloads.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Where is written what is done.</param>
internal sealed class HubFetcher(HubClient client, DownloadEngine engine, TimeProvider time, ILogger logger)
{
    // How many files are asked about at the same time: huggingface_hub's own number.
    private const int ParallelQuestions = 8;

    /// <summary>The size of a file in bytes, or of what it is a link to.</summary>
    public static long LengthOf(string file) => new FileInfo(file) is var info && info.ResolveLinkTarget(returnFinalTarget: true) is FileInfo blob ? blob.Length : info.Length;

    /// <summary>Asks for what is missing of the files of a commit.</summary>
    /// <param name="find">Gives the file of a path where it is there and of that commit; else null.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="commit">The commit.</param>
    /// <param name="paths">The files.</param>
    /// <param name="tally">Counts those that are there.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    public async Task<IReadOnlyList<HubFile>> FindMissingAsync(
        Func<string, string?> find, HubRepository repository, string commit, IReadOnlyList<string> paths, DownloadTally tally, CancellationToken cancellationToken)
    {
        var files = new HubFile?[paths.Count];
        await Parallel.ForAsync(
            0,
            paths.Count,
            new ParallelOptions { MaxDegreeOfParallelism = ParallelQuestions, CancellationToken = cancellationToken },
            async (index, token) =>
            {
                if (find(paths[index]) is { } there)
                {
                    tally.AddOld([LengthOf(there)]);
                    return;
                }

                files[index] = (await client.FindFileAsync(repository, commit, paths[index], token).ConfigureAwait(false)).File ?? throw client.MissingFile(repository, commit, paths[index]);
            }).ConfigureAwait(false);
        return [.. files.OfType<HubFile>()];
    }

    /// <summary>Brings files into a cache.</summary>
    /// <param name="cache">The cache.</param>
    /// <param name="files">The files.</param>
    /// <param name="force">Whether they are fetched even where they are there.</param>
    /// <param name="tally">Counts them.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    public async Task FetchAsync(HubCache cache, IReadOnlyList<HubFile> files, bool force, DownloadTally tally, CancellationToken cancellationToken)
    {
        if (files.Count == 0)
        {
            return;
        }

        cache.Tag();
        long missing = 0;
        foreach (var file in files)
        {
            tally.Expect(file.Length);
        }

        tally.Begin();
        // Files of one content take its room once.
        foreach (var file in files.DistinctBy(file => (file.Repository.FolderName, file.Tag)))
        {
            if (force || !File.Exists(cache.BlobOf(file.Repository, file.Tag)))
            {
                missing = checked(missing + engine.CountRoom(TargetOf(cache, file), file.Length));
            }
        }

        engine.CheckRoom(cache.Root, missing);
        await DownloadOrder.FetchAsync(
            files, file => file.Path, engine.ParallelFiles, async (file, token) => await FetchAsync(cache, file, force, tally, token).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Brings files into a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cache">A cache that may have them already.</param>
    /// <param name="files">The files.</param>
    /// <param name="force">Whether they are fetched even where they are there.</param>
    /// <param name="tally">Counts them.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    public async Task FetchAsync(HubLocalFolder folder, HubCache cache, IReadOnlyList<HubFile> files, bool force, DownloadTally tally, CancellationToken cancellationToken)
    {
        foreach (var file in files)
        {
            tally.Expect(file.Length);
        }

        tally.Begin();
        engine.CheckRoom(folder.Root, files.Where(file => force || !File.Exists(folder.FileOf(file.Path))).Sum(file => engine.CountRoom(TargetOf(folder, file), file.Length)));
        await DownloadOrder.FetchAsync(
            files, file => file.Path, engine.ParallelFiles, async (file, token) => await FetchAsync(folder, cache, file, force, tally, token).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }

    private static DownloadTarget TargetOf(HubCache cache, HubFile file)
    {
        var blob = cache.BlobOf(file.Repository, file.Tag);
        return new DownloadTarget(blob, blob, file.Tag, blob + HubCache.IncompleteEnding);
    }

    private static DownloadTarget TargetOf(HubLocalFolder folder, HubFile file)
    {
        var stem = folder.StemOf(file.Path, file.Tag);
        return new DownloadTarget(folder.FileOf(file.Path), stem, file.Tag, stem + HubCache.IncompleteEnding);
    }

    private async Task FetchAsync(HubCache cache, HubFile file, bool force, DownloadTally tally, CancellationToken cancellationToken)
    {
        var target = TargetOf(cache, file);
        var place = cache.FileOf(file.Repository, file.Commit, file.Path);
        Directory.CreateDirectory(Path.GetDirectoryName(target.Path)!);
        using (await FileLock.TakeAsync(cache.LockOf(file.Repository, file.Tag), FileLock.OfGroup, time, cancellationToken).ConfigureAwait(false))
        {
            // Whoever held the lock may have brought it, for this file or for another of the same content.
            var isThere = !force && File.Exists(target.Path);
            if (!force && !isThere && HubCache.IsThere(place))
            {
                tally.AddPresent(file.Length);
            }
            else
            {
                if (isThere)
                {
                    // A run that was killed right after the blob had its name has left its journal.
                    PartialFile.Delete(target.Stem);
                    tally.AddPresent(file.Length);
                }
                else
                {
                    await engine.FetchAsync(await client.OpenAsync(file, cancellationToken).ConfigureAwait(false), target, tally, cancellationToken).ConfigureAwait(false);
                }

                cache.Link(target.Path, place, isNew: !isThere);
            }
        }

        tally.AddFile();
        HubLog.FileDownloaded(logger, place, file.Length);
    }

    private async Task FetchAsync(HubLocalFolder folder, HubCache cache, HubFile file, bool force, DownloadTally tally, CancellationToken cancellationToken)
    {
        var target = TargetOf(folder, file);
        folder.Prepare(file.Path);
        using (await FileLock.TakeAsync(folder.LockOf(file.Path), FileLock.OfGroup, time, cancellationToken).ConfigureAwait(false))
        {
            if (!force && await IsThereAsync(folder, file, cancellationToken).ConfigureAwait(false))
            {
                PartialFile.Delete(target.Stem);
                tally.AddPresent(file.Length);
            }
            else if (!force && cache.Find(file.Repository, file.Commit, file.Path).Path is { } cached)
            {
                await CopyAsync(cached, target.Path, cancellationToken).ConfigureAwait(false);
                tally.AddPresent(file.Length);
            }
            else
            {
                await engine.FetchAsync(await client.OpenAsync(file, cancellationToken).ConfigureAwait(false), target, tally, cancellationToken).ConfigureAwait(false);
            }

            await folder.WriteAsync(file.Path, file.Commit, file.Tag, cancellationToken).ConfigureAwait(false);
        }

        tally.AddFile();
        HubLog.FileDownloaded(logger, target.Path, file.Length);
    }

    // What is known of it says so, or its hash does: of small files, whose ETag is git's, it is not computed, as by huggingface_hub.
    private static async Task<bool> IsThereAsync(HubLocalFolder folder, HubFile file, CancellationToken cancellationToken)
    {
        var path = folder.FileOf(file.Path);
        if (!File.Exists(path))
        {
            return false;
        }

        if (folder.Read(file.Path) is { } known)
        {
            return known.Tag == file.Tag;
        }

        return ContentDigest.KindOf(file.Tag) == ContentDigestKind.Sha256
            && new FileInfo(path).Length == file.Length
            && await ContentDigest.OfFileAsync(path, file.Tag, cancellationToken).ConfigureAwait(false) == file.Tag;
    }

    private static async Task CopyAsync(string from, string to, CancellationToken cancellationToken)
    {
        var file = AtomicFile.Create(to, new FileInfo(from).Length);
        await using (file.ConfigureAwait(false))
        {
            using var source = File.OpenHandle(from);
            var buffer = new byte[1 << 20];
            long offset = 0;
            int read;
            while ((read = await RandomAccess.ReadAsync(source, buffer, offset, cancellationToken).ConfigureAwait(false)) > 0)
            {
                await file.WriteAsync(offset, buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                offset += read;
            }

            await file.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
