using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats;

/// <summary>Zip archives, of which what they hold says whose they are.</summary>
/// <param name="options">What is accepted from each.</param>
internal sealed class ZipCheckpoint(CheckpointOptions options) : CheckpointFormat
{
    /// <inheritdoc/>
    public override string Name => "zip";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [];

    /// <inheritdoc/>
    public override bool Matches(ReadOnlySpan<byte> head) => head is [(byte)'P', (byte)'K', 3, 4, ..];

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        var archive = new CheckpointFile(file.Name, file.Path, TorchConstants.Format, file.Source);
        var directory = await ZipDirectory.ReadAsync(archive, cancellationToken).ConfigureAwait(false);
        return await TorchArchive.ReadAsync(archive, directory, options.Torch, cancellationToken).ConfigureAwait(false);
    }
}
