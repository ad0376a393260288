using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats;

/// <summary>Zip archives: the first bytes of all are the same, and what they hold says whose they are.</summary>
/// <param name="options">What is accepted from each.</param>
internal sealed class ZipCheckpoint(CheckpointOptions options) : CheckpointFormat
{
    /// <inheritdoc/>
    public override string Name => "zip";

    /// <inheritdoc/>
    public override IReadOnlyList<string> FormatNames => [TorchConstants.Format, NumpyConstants.Archive];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [NumpyConstants.ArchiveExtension];

    // An archive without entries begins with the record that ends every other: numpy.savez without arrays.
    /// <inheritdoc/>
    public override bool Matches(ReadOnlySpan<byte> head) =>
        head is [(byte)'P', (byte)'K', 3, 4, ..] or [(byte)'P', (byte)'K', 5, 6, ..];

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        var directory = await ZipDirectory.ReadAsync(file, options.Zip, cancellationToken).ConfigureAwait(false);
        if (TorchArchive.Matches(directory))
        {
            return Warned(await TorchArchive.ReadAsync(As(TorchConstants.Format), directory, options.Torch, cancellationToken).ConfigureAwait(false));
        }

        if (NpzReader.HoldsArrays(directory) || directory.Entries.Count == 0)
        {
            return Warned(await NpzReader.ReadAsync(As(NumpyConstants.Archive), directory, options.Numpy, cancellationToken).ConfigureAwait(false));
        }

        throw new InvalidCheckpointException(
            CheckpointErrorCode.ArchiveInvalid,
            file.Path,
            $"a zip archive that holds neither a {TorchConstants.PickleRecord}, as PyTorch's have, nor arrays ({NumpyConstants.ArrayExtension}), as NumPy's have; "
            + $"its first entry is {Quoted.Name(directory.Entries[0].Name)}.",
            Name);

        FileContent Warned(FileContent content) =>
            directory.Warning is { } warning ? content with { Warnings = [.. content.Warnings, warning] } : content;

        CheckpointFile As(string format) => new(file.Name, file.Path, format, file.Source) { Checksums = new ZipChecksums(file, directory) };
    }
}
