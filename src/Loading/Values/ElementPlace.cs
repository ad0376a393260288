using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which bytes a tensor's elements are, and in which order: two tensors of one place and shape have the same elements, whatever
/// their formats say of storages.
/// </summary>
/// <param name="File">The file.</param>
/// <param name="Offset">Where the first element lies, in bytes from the start of the file.</param>
/// <param name="ByteLength">The size in bytes of all elements, in row-major order.</param>
/// <param name="DType">The stored type.</param>
/// <param name="Strides">The strides as text, 0 for dimensions of one element; empty where the elements lie side by side.</param>
internal readonly record struct ElementPlace(CheckpointFile File, long Offset, long ByteLength, DType DType, string Strides)
{
    /// <summary>The place of a tensor.</summary>
    public static ElementPlace Of(TensorInfo tensor) => new(
        tensor.File,
        tensor.DataOffset,
        tensor.DataByteLength,
        tensor.DType,
        tensor.IsContiguous ? "" : string.Join(',', tensor.Strides.Select((stride, i) => tensor.Shape[i] == 1 ? 0 : stride)));
}
