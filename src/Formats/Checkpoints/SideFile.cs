namespace IlgpuLoader.Formats;

/// <summary>Reads the small files beside the weights: indexes and configurations.</summary>
internal static class SideFile
{
    /// <summary>Reads a whole file of at most <see cref="CheckpointOptions.MaximumIndexBytes"/>.</summary>
    /// <exception cref="CheckpointLimitException">The file is larger.</exception>
    public static Task<ReadOnlyMemory<byte>> ReadAsync(string path, CheckpointOptions options, CancellationToken cancellationToken) =>
        ReadAsync(path, options.MaximumIndexBytes, $"{nameof(CheckpointOptions)}.{nameof(CheckpointOptions.MaximumIndexBytes)}", cancellationToken);

    /// <summary>Reads a whole file of at most so many bytes.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maximumBytes">The most.</param>
    /// <param name="option">What to change where it is longer, for the message.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointLimitException">The file is larger.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(string path, long maximumBytes, string option, CancellationToken cancellationToken)
    {
        var source = new LocalFileSource(path);
        return await ReadAsync(source, maximumBytes, option, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads a whole file of a place, of at most <see cref="CheckpointOptions.MaximumIndexBytes"/>.</summary>
    /// <exception cref="CheckpointLimitException">The file is larger.</exception>
    public static Task<ReadOnlyMemory<byte>> ReadAsync(ICheckpointPlace place, string name, CheckpointOptions options, CancellationToken cancellationToken) =>
        ReadAsync(place, name, options.MaximumIndexBytes, $"{nameof(CheckpointOptions)}.{nameof(CheckpointOptions.MaximumIndexBytes)}", cancellationToken);

    /// <summary>Reads a whole file of a place, of at most so many bytes.</summary>
    /// <exception cref="CheckpointLimitException">The file is larger.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(ICheckpointPlace place, string name, long maximumBytes, string option, CancellationToken cancellationToken)
    {
        var source = await place.OpenAsync(name, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(source, maximumBytes, option, cancellationToken).ConfigureAwait(false);
    }

    // Disposes the source.
    private static async Task<ReadOnlyMemory<byte>> ReadAsync(IByteSource source, long maximumBytes, string option, CancellationToken cancellationToken)
    {
        await using (source.ConfigureAwait(false))
        {
            if (source.Length > maximumBytes)
            {
                throw new CheckpointLimitException(
                    "file's length",
                    source.Length,
                    maximumBytes,
                    option,
                    source.Name);
            }

            var content = new byte[(int)source.Length];
            await source.ReadExactlyAsync(0, content, cancellationToken).ConfigureAwait(false);
            // A byte-order mark is not JSON, but editors on Windows write it.
            return content is [0xEF, 0xBB, 0xBF, ..] ? content.AsMemory(3) : content;
        }
    }
}
