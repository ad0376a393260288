namespace IlgpuLoader.Gpu;

/// <summary>How values become elements of a target type in a kernel, four of them one packet: the widest store they fill.</summary>
/// <typeparam name="TPacket">Four elements.</typeparam>
/// <typeparam name="TElement">One element, as an integer of its size.</typeparam>
internal interface IPacker<TPacket, TElement>
    where TPacket : unmanaged
    where TElement : unmanaged
{
    /// <summary>As <see cref="IValueSink.TakesDouble"/>.</summary>
    static abstract bool TakesDouble { get; }

    /// <summary>
    /// By how many bits a unit's number is shifted before it is mixed into where its packets lie in shared memory: packets of 16 bytes
    /// fill all banks with eight units, of 8 bytes with sixteen, of 4 with thirty-two.
    /// </summary>
    static abstract int SwizzleShift { get; }

    /// <summary>Four values, given as the bits of float32.</summary>
    static abstract TPacket Pack(int first, int second, int third, int fourth);

    /// <summary>Four values, given as the bits of float64.</summary>
    static abstract TPacket PackDoubles(long first, long second, long third, long fourth);

    /// <summary>One value, given as the bits of a float32.</summary>
    static abstract TElement Narrow(int bits);

    /// <summary>One value, given as the bits of a float64.</summary>
    static abstract TElement NarrowDouble(long bits);
}
