namespace IlgpuLoader.Formats.Gguf;

/// <summary>A tensor that is to be written: name, type and shape; the bytes come later.</summary>
/// <param name="Name">The name: 1 to 63 bytes of UTF-8 without NUL.</param>
/// <param name="DType">One of <see cref="GgufTypes.All"/>.</param>
/// <param name="Shape">
/// At most four dimensions, outermost first; the last, if there is one, holds whole blocks. A scalar is written with no
/// dimension, which ggml reads as one element.
/// </param>
public sealed record GgufTensor(string Name, DType DType, Shape Shape);
