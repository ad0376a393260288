namespace IlgpuLoader.Gpu;

/// <summary>
/// The scalar body of a codec: decodes one unit of <see cref="Unit.Length"/> outputs. Written once; the .NET JIT compiles it
/// over pointers, ILGPU over array views.
/// </summary>
/// <remarks>
/// A body uses only what ILGPU 1.5.3 compiles: integers, floats, <c>BitConverter.Int32BitsToSingle</c> and its
/// Int32/Int64 siblings, structs and static abstract members. No spans, <c>System.Half</c>, exceptions or vectors. No
/// inexact <c>a * b + c</c> either: a device may fuse it, and then the last bit differs.
/// </remarks>
public interface IUnitDecoder
{
    /// <summary>Bytes of one stored block: the block's size for block types, 32 elements for all others.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>The binary logarithm of the units in a block: 0 for 32 values, 3 for 256. A shift, because devices divide slowly.</summary>
    static abstract int UnitsPerBlockShift { get; }

    /// <summary>
    /// How many outputs can be decoded by themselves, a power of two from 4 to 32: a device's threads take as many each, so that neighbours
    /// read and store side by side. 32 where they share a scale; fewer only where a unit is one run of equally large parts.
    /// </summary>
    static virtual int Granule => Unit.Length;

    /// <summary>
    /// What the body looks values up in, beside the stored bytes: fixed for the type, little-endian, in memory that never
    /// moves; empty for most types. A device holds one copy of it.
    /// </summary>
    static virtual ReadOnlySpan<byte> Table => default;

    /// <summary>Decodes one unit.</summary>
    /// <param name="reader">The stored bytes.</param>
    /// <param name="table">The bytes of <see cref="Table"/>.</param>
    /// <param name="blockOffset">Where the unit's block begins, in bytes.</param>
    /// <param name="unit">Which unit of the block.</param>
    /// <param name="count">Values wanted: 32, or 1 to 31 in the last unit of types that are not blocks.</param>
    /// <param name="sink">Where the values go.</param>
    /// <param name="firstIndex">The index of the unit's first value in the output.</param>
    static abstract void DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
        where TReader : struct, IByteReader
        where TTable : struct, IByteReader
        where TSink : struct, IValueSink;
}
