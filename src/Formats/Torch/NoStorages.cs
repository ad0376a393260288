namespace IlgpuLoader.Formats.Torch;

/// <summary>Of a pickle that PyTorch did not write: it has no storages beside it.</summary>
/// <param name="file">The file, for messages.</param>
internal sealed class NoStorages(CheckpointFile file) : TorchStorages
{
    /// <inheritdoc/>
    public override int Count => 0;

    /// <inheritdoc/>
    public override bool IsBigEndian => false;

    /// <inheritdoc/>
    public override TorchStorage Find(string key, long byteLength, string? tensor) => throw new InvalidCheckpointException(
        CheckpointErrorCode.StorageInvalid,
        file.Path,
        $"it views storage {Quoted.Name(key)}, and this is a bare pickle, which has none: it was taken out of its archive (data.pkl), or cut; open the whole file.",
        TorchConstants.Format,
        tensor: tensor);
}
