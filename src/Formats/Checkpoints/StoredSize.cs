namespace IlgpuLoader.Formats;

/// <summary>Counts the bytes that tensors take in their files: a storage that several of them share counts once.</summary>
public static class StoredSize
{
    /// <summary>The size of the storages of some tensors in bytes, whatever part of them the tensors are.</summary>
    /// <param name="tensors">The tensors, of one checkpoint or of several.</param>
    public static long Of(IEnumerable<TensorInfo> tensors) => tensors.Select(StorageOf).Distinct().Sum(storage => storage.ByteLength);

    /// <summary>The storage of a tensor: ties and views that have the same one share its bytes.</summary>
    /// <param name="tensor">The tensor.</param>
    public static (CheckpointFile File, long Offset, long ByteLength) StorageOf(TensorInfo tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return (tensor.File, tensor.Offset, tensor.ByteLength);
    }
}
