namespace IlgpuLoader.Formats;

/// <summary>Reads the small files beside the weights: indexes and configurations.</summary>
internal static class SideFile
{
    /// <summary>Reads a whole file of at most <see cref="CheckpointOptions.MaximumIndexBytes"/>.</summary>
    /// <exception cref="CheckpointLimitException">The file is larger.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(string path, CheckpointOptions options, CancellationToken cancellationToken)
    {
        var source = new LocalFileSource(path);
        await using (source.ConfigureAwait(false))
        {
            if (source.Length > options.MaximumIndexBytes)
            {
                throw new CheckpointLimitException(
                    "file's length",
                    source.Length,
                    options.MaximumIndexBytes,
                    $"{nameof(CheckpointOptions)}.{nameof(CheckpointOptions.MaximumIndexBytes)}",
                    path);
            }

            var content = new byte[(int)source.Length];
            await source.ReadExactlyAsync(0, content, cancellationToken).ConfigureAwait(false);
            // A byte-order mark is not JSON, but editors on Windows write it.
            return content is [0xEF, 0xBB, 0xBF, ..] ? content.AsMemory(3) : content;
        }
    }
}
