namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Recognises NumPy's files of one array (<c>.npy</c>) and reads their headers: a checkpoint of one tensor, which has the name
/// of the file.
/// </summary>
/// <param name="limits">What is accepted from a file.</param>
internal sealed class NumpyFormat(NumpyLimits limits) : CheckpointFormat
{
    /// <inheritdoc/>
    public override string Name => NumpyConstants.Array;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [NumpyConstants.ArrayExtension];

    /// <inheritdoc/>
    public override bool Matches(ReadOnlySpan<byte> head) => head.StartsWith(NumpyConstants.Magic);

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        var name = NameOf(file.Name);
        var header = await NpyHeaderReader
            .ReadAsync(file.Source, 0, file.Length, new NpyPlace(file.Path, Name, name, 0), limits, null, cancellationToken)
            .ConfigureAwait(false);
        var opened = header.Swapped(0) is { } swapped
            ? new CheckpointFile(file.Name, file.Path, Name, ByteOrderSource.Over(file.Source, [swapped])) { Length = file.Length }
            : file;
        return new FileContent([header.Place(name, opened, 0)], new Dictionary<string, object>()) { File = opened };
    }

    /// <summary>The name of an array: that of its file or entry without the ending.</summary>
    public static string NameOf(string file) =>
        file.EndsWith(NumpyConstants.ArrayExtension, StringComparison.OrdinalIgnoreCase) && file.Length > NumpyConstants.ArrayExtension.Length
            ? file[..^NumpyConstants.ArrayExtension.Length]
            : file;
}
