using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// What processes that save a rank each call their save (<see cref="ShardedStateSaveOptions.SaveId"/>), without having met: a hash of what they save and how. Ranks of other weights, of another configuration, of another number of
/// ranks or of other options never become one folder.
/// </summary>
public static class SaveIdentity
{
    // 128 bits, as any name that must not be another's by chance.
    private const int HashDigits = 32;

    // A tokenizer has some megabytes.
    private const int CopyBytes = 1 << 20;

    /// <summary>Makes the name, the same for all ranks.</summary>
    /// <param name="checkpoint">The weights. Stays the caller's.</param>
    /// <param name="context">What the model is made of and how many ranks share it; which of them this is counts for nothing.</param>
    /// <param name="options">How it is saved.</param>
    /// <param name="load">What is loaded, and how; where to and at what cost counts for nothing.</param>
    /// <param name="map">The path of a file of rules for names; null for none.</param>
    /// <param name="cancellationToken">Ends the reading of configuration, tokenizer and map.</param>
    /// <returns>32 hexadecimal digits in lower case.</returns>
    /// <exception cref="IOException">Configuration, tokenizer or map cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">One of them may not be read.</exception>
    /// <remarks>
    /// The weight files count by name, size and time, since reading them twice would double the work: the time stays in, although a copy of a checkpoint on another machine may have another one, because new weights of a model mostly have
    /// the sizes of the old, and ranks of both in one folder are what must never be. Whoever has such copies names the save himself. Safe for several threads.
    /// </remarks>
    public static async Task<string> OfAsync(
        Checkpoint checkpoint, ModelContext context, ShardedStateSaveOptions options, LoadOptions load, string? map = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(load);
        var text = new StringBuilder();
        // What another version makes of the same files may differ.
        text.Append(
            CultureInfo.InvariantCulture,
            $"{typeof(SaveIdentity).Assembly.GetName().Version}\n{context.Parallel.WorldSize}\n{context.ExpertParallel}\n{context.DType.Name}\n{context.Implementation}\n{context.Task}\n{context.QuantizationMethod}\n");
        text.Append(CultureInfo.InvariantCulture, $"{options.Pattern}\n{options.MaximumPartBytes}\n{options.IsProcessed}\n{checkpoint.Root}\n");
        foreach (var file in checkpoint.Files)
        {
            // Ranks may run on several machines, each of which has the files under another path.
            var written = File.Exists(file.Path) ? File.GetLastWriteTimeUtc(file.Path).Ticks : 0;
            text.Append(CultureInfo.InvariantCulture, $"{Path.GetFileName(file.Path)}\n{file.Source.Length}\n{written}\n");
        }

        // Where to, in how many lanes and with what memory changes no value; these do.
        text.Append(CultureInfo.InvariantCulture, $"{load.DType?.Name}\n{load.ConvertAllTypes}\n{string.Join('\n', load.Include)}\n\n{string.Join('\n', load.Exclude)}\n");
        // Nothing of the rank's own share: names and shapes of experts differ from rank to rank. What goes where follows from the configuration, the names and the map of them.
        if (map is not null)
        {
            text.Append(CultureInfo.InvariantCulture, $"{await HashAsync(map, cancellationToken).ConfigureAwait(false)}\n");
        }

        var carried = await CarriedFiles.OpenAsync(options.CarriedPlace, options.CarriedFrom, cancellationToken).ConfigureAwait(false);
        await using (carried.ConfigureAwait(false))
        {
            foreach (var file in await carried.HashAsync(cancellationToken).ConfigureAwait(false))
            {
                text.Append(CultureInfo.InvariantCulture, $"{file.Name}\n{file.Sha256}\n");
            }
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..HashDigits];
    }

    private static async Task<string> HashAsync(string path, CancellationToken cancellationToken)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, CopyBytes, FileOptions.Asynchronous);
        await using (file.ConfigureAwait(false))
        {
            return Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
        }
    }
}
