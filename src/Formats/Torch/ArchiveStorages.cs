using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats.Torch;

/// <summary>The storages of an archive: records that are read where they stand.</summary>
/// <param name="file">The archive.</param>
/// <param name="directory">Its directory.</param>
/// <param name="folder">The folder of the storages, with its slash.</param>
/// <param name="isBigEndian">Whether their numbers have the highest byte first.</param>
internal sealed class ArchiveStorages(CheckpointFile file, ZipDirectory directory, string folder, bool isBigEndian) : TorchStorages
{
    private readonly Dictionary<string, TorchStorage> _found = [];

    /// <inheritdoc/>
    public override int Count => directory.Entries.Count(entry => !entry.IsFolder && entry.Name.StartsWith(folder, StringComparison.Ordinal));

    /// <inheritdoc/>
    public override bool IsBigEndian => isBigEndian;

    /// <inheritdoc/>
    public override TorchStorage Find(string key, long byteLength, string? tensor)
    {
        if (!_found.TryGetValue(key, out var storage))
        {
            _found.Add(key, storage = Locate(folder + key, tensor));
        }

        return storage.ByteLength == byteLength
            ? storage
            : throw new InvalidCheckpointException(
                CheckpointErrorCode.SizeMismatch,
                file.Path,
                $"record {Quoted.Name(folder + key)} has {storage.ByteLength} bytes, and the pickle says {byteLength}: the file is not what it was when it was saved.",
                TorchConstants.Format,
                storage.Offset,
                tensor);
    }

    private TorchStorage Locate(string name, string? tensor)
    {
        if (!directory.TryGet(name, out var entry))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ArchiveInvalid,
                file.Path,
                $"its record {Quoted.Name(name)} is not in the archive: it was lost when the archive was packed again, or the file is broken; fetch it again.",
                TorchConstants.Format,
                tensor: tensor);
        }

        directory.ThrowIfUnreadable(entry);
        return entry.IsStored
            ? new TorchStorage(_found.Count, entry.DataOffset, entry.Length) { IsBigEndian = isBigEndian }
            : throw new UnsupportedCheckpointException(
                "compressed tensor data",
                file.Path,
                $"its record {Quoted.Name(name)} is compressed (at byte {entry.HeaderOffset}), and PyTorch only writes stored ones, which are read in place: "
                + "unpack the archive and pack it again without compression (zip -0 -r), or save it again with torch.save.",
                TorchConstants.Format,
                tensor);
    }
}
