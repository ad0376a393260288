namespace IlgpuLoader.Formats;

/// <content>Opens files that the caller has chosen.</content>
public sealed partial class Checkpoint
{
    /// <summary>Opens a checkpoint of several files, in the order in which they are given; no index says which of two tensors of one name counts.</summary>
    /// <param name="path">What it is called in messages.</param>
    /// <param name="sources">The bytes of each file, at least one; the checkpoint's from now on, also when opening fails.</param>
    /// <param name="options">What to accept.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <inheritdoc cref="OpenAsync(string, CheckpointOptions?, CancellationToken)" path="/exception"/>
    internal static async Task<Checkpoint> OpenAsync(
        string path, IReadOnlyList<IByteSource> sources, CheckpointOptions options, CancellationToken cancellationToken)
    {
        var detector = new FormatDetector(options);
        var files = new List<OpenedFile>(sources.Count);
        var begun = 0;
        try
        {
            foreach (var source in sources)
            {
                // One that fails is closed by what opens it.
                begun++;
                files.Add(await OpenFileAsync(source, detector, cancellationToken).ConfigureAwait(false));
            }

            return Assemble(path, files, null, null, options.Root, []);
        }
        catch
        {
            await DisposeAsync(files).ConfigureAwait(false);
            await DisposeAsync(sources.Skip(begun)).ConfigureAwait(false);
            throw;
        }
    }
}
