using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Whole elements or blocks of one tensor that a lane reads, converts and writes at a time.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Offset">Where it begins, in bytes of the stored elements in row-major order.</param>
/// <param name="ByteLength">Its size as stored; 0 for a tensor without elements.</param>
internal readonly record struct Piece(OutputTensor Tensor, long Offset, int ByteLength)
{
    public bool IsLast => Offset + ByteLength == Tensor.Source.DataByteLength;

    /// <summary>The first element.</summary>
    public long FirstElement => Offset / Tensor.Source.DType.BlockSize * Tensor.Source.DType.BlockLength;

    /// <summary>Where the piece goes, in bytes from the start of the written tensor.</summary>
    public long OutputOffset => Tensor.DType.ByteCount(FirstElement);

    /// <summary>The size as written, in bytes.</summary>
    public int OutputLength =>
        checked((int)Tensor.DType.ByteCount((long)ByteLength / Tensor.Source.DType.BlockSize * Tensor.Source.DType.BlockLength));
}
