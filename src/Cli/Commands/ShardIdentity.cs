using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>
/// What processes that save a rank each call their save, without having met: a hash of what they save and how. Ranks of other weights, of another configuration, of another number of ranks or of other options never become one folder.
/// </summary>
internal static class ShardIdentity
{
    // 128 bits, as any name that must not be another's by chance.
    private const int HashDigits = 32;

    // A tokenizer has some megabytes.
    private const int CopyBytes = 1 << 20;

    /// <summary>Makes the name.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How it is saved.</param>
    /// <param name="load">What is loaded, and how.</param>
    /// <param name="map">The file of names; null for none.</param>
    /// <param name="worldSize">The number of ranks.</param>
    /// <param name="cancellationToken">Ends the reading of configuration, tokenizer and map.</param>
    /// <remarks>
    /// The weight files count by name, size and time, since reading them twice would double the work: the time stays in, although a copy of a checkpoint on another machine may have another one, because new weights of a model mostly have
    /// the sizes of the old, and ranks of both in one folder are what must never be. Whoever has such copies names the save himself (<c>--save-id</c>).
    /// </remarks>
    public static async Task<string> OfAsync(OpenedModel model, ShardedStateSaveOptions options, LoadOptions load, string? map, int worldSize, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{typeof(ShardedStateLoader).Assembly.GetName().Version}\n{worldSize}\n{model.Context.DType.Name}\n{model.Context.Implementation}\n{model.Context.QuantizationMethod}\n{options.Pattern}\n{options.MaximumPartBytes}\n{options.IsProcessed}\n");
        foreach (var file in model.Checkpoint.Files)
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
            await AddAsync(text, map, cancellationToken).ConfigureAwait(false);
        }

        await AddCarriedAsync(text, options.CarriedFrom, cancellationToken).ConfigureAwait(false);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..HashDigits];
    }

    private static async Task AddCarriedAsync(StringBuilder text, string? folder, CancellationToken cancellationToken)
    {
        string[] paths = folder is not null && Directory.Exists(folder) ? [.. Directory.EnumerateFiles(folder).Where(path => CheckpointConverter.IsCarried(Path.GetFileName(path))).Order(StringComparer.Ordinal)] : [];
        foreach (var path in paths)
        {
            await AddAsync(text, path, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task AddAsync(StringBuilder text, string path, CancellationToken cancellationToken)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, CopyBytes, FileOptions.Asynchronous);
        await using (file.ConfigureAwait(false))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Path.GetFileName(path)}\n{Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false))}\n");
        }
    }
}
