using System.Runtime.CompilerServices;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>
/// Lists what the pickles of files would import and do, for those who want to know before they load them with anything. Nothing
/// is executed, loaded or looked up: pickles are only walked through, and to their ends where loading stops at the first thing
/// that is refused. Safe for any thread.
/// </summary>
public static class PickleAuditor
{
    /// <summary>
    /// Audits a file, or all files in a folder and below it that can hold a pickle: those with the ending of one, those that begin
    /// as one, and any other that would import something if Python took it for one. What is wrong with a file is in its result, not thrown.
    /// </summary>
    /// <param name="path">The file or folder, or the address of one (<see cref="CheckpointOptions.Remote"/>), of which the files directly there are looked at.</param>
    /// <param name="options">What is accepted; null for the defaults. Limits are those of loading.</param>
    /// <param name="cancellationToken">Ends the audit.</param>
    /// <returns>A result for each file, as it is done; of a folder in the order of its names, and none where no file can hold a pickle.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">The server of an address cannot be reached, or refuses to list.</exception>
    public static async IAsyncEnumerable<FileAudit> AuditAsync(
        string path, CheckpointOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= CheckpointOptions.Default;
        if (AddressScheme.Of(path) is not null)
        {
            await foreach (var audit in AuditAddressAsync(path, options, cancellationToken).ConfigureAwait(false))
            {
                yield return audit;
            }

            yield break;
        }

        if (!Directory.Exists(path))
        {
            yield return await AuditFileAsync(path, options, isListed: true, cancellationToken).ConfigureAwait(false) ?? throw new System.Diagnostics.UnreachableException();
            yield break;
        }

        foreach (var file in AuditedFolder.FilesOf(path, cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (await AuditFileAsync(file, options, AuditedFolder.IsNamedAsPickle(file), cancellationToken).ConfigureAwait(false) is { } audit)
            {
                yield return audit;
            }
        }
    }

    /// <summary>Audits one file from any source of bytes.</summary>
    /// <param name="source">The bytes; it stays the caller's.</param>
    /// <param name="options">What is accepted; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the audit.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<FileAudit> AuditAsync(
        IByteSource source, CheckpointOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        return (await AuditAsync(source, options ?? CheckpointOptions.Default, isListed: true, cancellationToken).ConfigureAwait(false))!;
    }

    private static async IAsyncEnumerable<FileAudit> AuditAddressAsync(
        string address, CheckpointOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (place, name) = await CheckpointFolder.LocateAsync(address, null, options, cancellationToken).ConfigureAwait(false);
        if (name is not null)
        {
            yield return await AuditFileAsync(place, name, options, isListed: true, cancellationToken).ConfigureAwait(false) ?? throw new System.Diagnostics.UnreachableException();
            yield break;
        }

        foreach (var file in (await place.ListAsync(cancellationToken).ConfigureAwait(false)).Order(NaturalOrder.Instance))
        {
            if (await AuditFileAsync(place, file, options, AuditedFolder.IsNamedAsPickle(file), cancellationToken).ConfigureAwait(false) is { } audit)
            {
                yield return audit;
            }
        }
    }

    private static Task<FileAudit?> AuditFileAsync(string path, CheckpointOptions options, bool isListed, CancellationToken cancellationToken) =>
        AuditFileAsync(new LocalPlace(Path.GetDirectoryName(path) ?? ""), Path.GetFileName(path), options, isListed, cancellationToken);

    // Walking through megabytes of opcodes is work, and not for the caller's thread.
    private static Task<FileAudit?> AuditFileAsync(
        ICheckpointPlace place, string name, CheckpointOptions options, bool isListed, CancellationToken cancellationToken) => Task.Run(
        async () =>
        {
            try
            {
                var source = await place.OpenAsync(name, cancellationToken).ConfigureAwait(false);
                await using (source.ConfigureAwait(false))
                {
                    return await AuditAsync(source, options, isListed, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
            {
                return new FileAudit(place.PathOf(name), AuditedContainer.Unknown, [], [], exception);
            }
        },
        cancellationToken);

    // Null of a file that is only looked at in case, and holds no pickle.
    private static async Task<FileAudit?> AuditAsync(IByteSource source, CheckpointOptions options, bool isListed, CancellationToken cancellationToken)
    {
        var found = new AuditFindings();
        var isCandidate = isListed;
        try
        {
            var head = new byte[(int)Math.Min(FormatDetector.HeadBytes, source.Length)];
            await source.ReadExactlyAsync(0, head, cancellationToken).ConfigureAwait(false);
            isCandidate |= CanHoldPickle(head, options);
            await RunAsync(source, head, options, found, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
        {
            found.Failure = exception;
        }

        if (!isCandidate && !found.IsMeant && found.Failure is null or CheckpointException)
        {
            return null;
        }

        return !isListed && found is
        {
            Pickles.Count: 0,
            Failure: null,
            Container: AuditedContainer.ZipArchive or AuditedContainer.Safetensors or AuditedContainer.Gguf,
        }
            ? null
            : new FileAudit(source.Name, found.Container, [.. found.Pickles], [.. found.Notes], found.Failure);
    }

    private static bool CanHoldPickle(ReadOnlySpan<byte> head, CheckpointOptions options) =>
        new TorchFormat(options.Torch).Matches(head) || new NumpyFormat(options.Numpy).Matches(head) || new ZipCheckpoint(options).Matches(head);

    private static async ValueTask RunAsync(
        IByteSource source, byte[] head, CheckpointOptions options, AuditFindings found, CancellationToken cancellationToken)
    {
        var file = new CheckpointFile(Path.GetFileName(source.Name), source.Name, TorchConstants.Format, source);
        try
        {
            var format = new FormatDetector(options).Detect(head, source.Name);
            switch (format)
            {
                case ZipCheckpoint when format.Matches(head):
                    await new ArchiveScan(file, options, found, new AuditBudget(file, options)).RunAsync(cancellationToken).ConfigureAwait(false);
                    return;
                case NumpyFormat when format.Matches(head):
                    found.Container = AuditedContainer.NumpyArray;
                    await new ArrayScan(file, options, found, new AuditBudget(file, options))
                        .RunAsync(NumpyFormat.NameOf(file.Name), source, 0, file.Length, 0, cancellationToken).ConfigureAwait(false);
                    return;
                case TorchFormat when format.Matches(head):
                    await StreamScan.RunAsync(file, options.Torch, found, new AuditBudget(file, options), cancellationToken).ConfigureAwait(false);
                    return;
                default:
                    _ = await format.ReadAsync(new CheckpointFile(file.Name, file.Path, format.Name, source), head, cancellationToken).ConfigureAwait(false);
                    found.Container = format is GgufFormat ? AuditedContainer.Gguf : AuditedContainer.Safetensors;
                    break;
            }
        }
        catch (CheckpointException) when (found is { Container: AuditedContainer.Unknown, Pickles.Count: 0 })
        {
            // Python asks for no mark before it runs what a file says, and a mark may be made up to keep others from looking.
            await LookForPickleAsync(file, options, found, hidden => hidden.WouldImport, cancellationToken).ConfigureAwait(false);
            throw;
        }

        // A length of text is an opcode too, and what it counts may lead past the whole header: a file can be both.
        await LookForPickleAsync(file, options, found, hidden => hidden.NamesModules, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask LookForPickleAsync(
        CheckpointFile file, CheckpointOptions options, AuditFindings found, Func<AuditFindings, bool> counts, CancellationToken cancellationToken)
    {
        var hidden = new AuditFindings();
        try
        {
            await StreamScan.RunAsync(file, options.Torch, hidden, new AuditBudget(file, options), cancellationToken).ConfigureAwait(false);
        }
        catch (CheckpointException exception)
        {
            // What is wrong with the file as what it claims to be is said in any case; this is only why it is no whole pickle.
            hidden.Notes.Add(Quoted.Plain(exception.Message));
            if (hidden.Pickles.Count == 0)
            {
                // A text longer than any pickle that is read is one that Python goes past.
                var walked = await PickleWalk.RunAsync(file, 0, options.Torch, cancellationToken).ConfigureAwait(false);
                hidden.Pickles.Add(new PickleAudit("pickle", 0, file.Length)
                {
                    Globals = PickleScan.Globals(walked, isTorchScript: false),
                    Failure = exception,
                });
            }
        }

        if (counts(hidden))
        {
            if (found.Container == AuditedContainer.Unknown)
            {
                found.Container = hidden.Container;
            }
            else
            {
                found.Notes.Add("its bytes are also those of a pickle, which is what Python takes them for under the name of one.");
            }

            found.Pickles.AddRange(hidden.Pickles);
            found.Notes.AddRange(hidden.Notes);
        }
        else if (hidden.IsText)
        {
            found.Notes.Add("this is text, no pickle.");
        }
    }
}
