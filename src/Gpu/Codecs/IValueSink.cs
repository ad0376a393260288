namespace IlgpuLoader.Gpu;

/// <summary>
/// Takes decoded values, converts them to its own type and stores them: a pointer on the host, an array view on a device.
/// Indices count values from the start of the output; nothing is checked.
/// </summary>
/// <remarks>
/// Values travel as bits, never as <see cref="float"/>, so that no register or call on any device can change a NaN.
/// Narrowing happens here and only once, from the float32 (see <see cref="FloatBits"/>).
/// </remarks>
public interface IValueSink
{
    /// <summary>
    /// Whether the sink keeps more than a float32 can hold. A body whose values do not fit a float32 asks it, to round only
    /// once: to a double where that is kept, to a float32 where it is not.
    /// </summary>
    static abstract bool TakesDouble { get; }

    /// <summary>Stores one value, given as the bits of a float32.</summary>
    void WriteSingle(long index, int bits);

    /// <summary>Stores four neighbours, given as the bits of float32 values; devices do this in one store.</summary>
    void WriteFour(long index, int first, int second, int third, int fourth);

    /// <summary>Stores one value, given as the bits of a float64, narrowed through float32 where the type is smaller.</summary>
    void WriteDouble(long index, long bits);

    /// <summary>Stores four neighbours as <see cref="WriteDouble"/> does; devices do this in one or two stores.</summary>
    void WriteFourDoubles(long index, long first, long second, long third, long fourth);
}
