namespace IlgpuLoader.Formats.Zip;

/// <summary>A record that is to be written: bytes that are known, and behind them those of a tensor that come later.</summary>
/// <param name="Name">The path inside the archive.</param>
/// <param name="Content">The bytes that are known; they stay the caller's and must not change before the commit.</param>
/// <param name="Tensor">The tensor whose bytes follow, by the name under which they will be written; null for none.</param>
/// <param name="ByteLength">How many bytes the tensor has; 0 without one.</param>
internal sealed record ZipRecordPlan(string Name, ReadOnlyMemory<byte> Content, string? Tensor = null, long ByteLength = 0)
{
    /// <summary>The size of the record in bytes.</summary>
    /// <exception cref="OverflowException">It does not fit a <see cref="long"/>.</exception>
    public long Length => checked(Content.Length + ByteLength);
}
