namespace IlgpuLoader.Formats;

/// <summary>Counts the bytes that tensors take in their files: a storage that several of them share counts once.</summary>
internal static class StoredSize
{
    /// <summary>The size of the storages of some tensors in bytes.</summary>
    public static long Of(IReadOnlyCollection<TensorInfo> tensors)
    {
        // Without views only aliases share, and they say so.
        if (tensors.All(tensor => tensor.IsWholeStorage))
        {
            return tensors.Sum(tensor => tensor.TiedTo is null ? tensor.ByteLength : 0);
        }

        return tensors.Select(tensor => (tensor.File, tensor.Offset, tensor.ByteLength)).Distinct().Sum(storage => storage.ByteLength);
    }
}
