namespace IlgpuLoader.Gpu;

/// <summary>
/// Decodes single elements of a type whose elements are whole bytes and stand alone; <see cref="ElementUnit{TElement}"/>
/// makes units of them. What <see cref="IUnitDecoder"/> says about the body holds here too.
/// </summary>
public interface IElementDecoder
{
    /// <summary>Bytes of one element.</summary>
    static abstract int Size { get; }

    /// <summary>Decodes the element at <paramref name="offset"/> (bytes) into value <paramref name="index"/>.</summary>
    static abstract void Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink;

    /// <summary>Decodes four neighbours, with the widest reads and stores that fit.</summary>
    static abstract void DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink;
}
