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
    public long OutputOffset => Tensor.DType.ByteCount(Tensor.WrittenBefore(FirstElement));

    /// <summary>The size of all of its elements in the dtype that is written, in bytes.</summary>
    public int OutputLength => checked((int)Tensor.DType.ByteCount(ElementCount));

    /// <summary>The number of elements.</summary>
    public long ElementCount => (long)ByteLength / Tensor.Source.DType.BlockSize * Tensor.Source.DType.BlockLength;
}
