using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>How a vector is stored: through the cache or past it.</summary>
internal unsafe interface IStores
{
    static abstract void Store(byte* destination, Vector64<byte> vector);

    static abstract void Store(byte* destination, Vector128<byte> vector);

    static abstract void Store(byte* destination, Vector256<byte> vector);

    static abstract void Store(byte* destination, Vector512<byte> vector);
}

/// <summary>Stores that need no alignment and leave the line in the cache.</summary>
internal readonly unsafe struct CachedStores : IStores
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector64<byte> vector) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector128<byte> vector) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector256<byte> vector) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector512<byte> vector) => vector.Store(destination);
}

/// <summary>
/// Stores that need their vector's alignment and go past the cache: the line is not read first, and nothing useful is evicted.
/// </summary>
internal readonly unsafe struct StreamingStores : IStores
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector64<byte> vector)
    {
        // The runtime's own method for this size is an ordinary store on x64.
        if (Sse2.X64.IsSupported)
        {
            Sse2.X64.StoreNonTemporal((long*)destination, vector.AsInt64().ToScalar());
        }
        else
        {
            vector.StoreAlignedNonTemporal(destination);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector128<byte> vector) => vector.StoreAlignedNonTemporal(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector256<byte> vector) => vector.StoreAlignedNonTemporal(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, Vector512<byte> vector) => vector.StoreAlignedNonTemporal(destination);
}
