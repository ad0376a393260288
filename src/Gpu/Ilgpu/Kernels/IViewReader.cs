using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Stored bytes behind an array view, as a unit body reads them in a kernel.</summary>
/// <typeparam name="TSelf">The reader.</typeparam>
internal interface IViewReader<TSelf> : IByteReader
    where TSelf : struct, IViewReader<TSelf>
{
    /// <summary>Makes a reader.</summary>
    /// <param name="bytes">
    /// The bytes; begins on a multiple of 16 bytes in its buffer and holds whole words of four, or ILGPU's casts would round silently.
    /// </param>
    /// <param name="start">Where offset 0 is.</param>
    static abstract TSelf Over(ArrayView<byte> bytes, long start);
}
