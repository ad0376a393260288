namespace IlgpuLoader.Formats.Torch;

/// <summary>One range of bytes that tensors view.</summary>
/// <param name="order">Its place among the storages of the file, for those that begin where another does because it is empty.</param>
/// <param name="offset">Where it begins, in bytes from the start of the file.</param>
/// <param name="byteLength">Its size in bytes.</param>
internal sealed class TorchStorage(int order, long offset, long byteLength)
{
    /// <summary>Its place among the storages of the file.</summary>
    public int Order { get; } = order;

    /// <summary>Where it begins, in bytes from the start of the file.</summary>
    public long Offset { get; } = offset;

    /// <summary>Its size in bytes.</summary>
    public long ByteLength { get; } = byteLength;

    /// <summary>Whether its numbers have their highest byte first.</summary>
    public bool IsBigEndian { get; init; }
}
