namespace IlgpuLoader.Formats.Torch;

/// <summary>The storages of one file, by the keys that its pickle names them with. Not safe for several threads.</summary>
internal abstract class TorchStorages
{
    /// <summary>How many the file has.</summary>
    public abstract int Count { get; }

    /// <summary>Whether the numbers in them have their highest byte first.</summary>
    public abstract bool IsBigEndian { get; }

    /// <summary>Finds one and holds it against the size that the pickle says.</summary>
    /// <param name="key">The key.</param>
    /// <param name="byteLength">The size in bytes that the pickle says.</param>
    /// <param name="tensor">The tensor, for messages.</param>
    /// <exception cref="CheckpointException">It is missing, cannot be read in place or has another size.</exception>
    public abstract TorchStorage Find(string key, long byteLength, string? tensor);
}
