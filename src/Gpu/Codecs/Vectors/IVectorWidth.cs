using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>A vector width: the only place, besides the types' own bodies, where the three differ.</summary>
internal unsafe interface IVectorWidth
{
    /// <summary>Bytes of a vector.</summary>
    static abstract int Bytes { get; }

    /// <summary>Converts two vectors of float32, that is <see cref="Bytes"/> / 2 values.</summary>
    static abstract void Step<TSource, TTarget, TStores>(byte* source, byte* destination)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores;

    /// <summary>Decodes one block of a block type.</summary>
    static abstract void Decode<TBlock, TTarget, TStores>(byte* source, byte* destination)
        where TBlock : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores;

    /// <summary>Converts fewer values than one step takes.</summary>
    static abstract void RunShort<TSource, TTarget>(byte* source, byte* destination, nint count)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget;
}

/// <summary>Vectors of 128 bits: SSE, NEON.</summary>
internal readonly unsafe struct Width128 : IVectorWidth
{
    public static int Bytes => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TBlock, TTarget, TStores>(byte* source, byte* destination)
        where TBlock : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores =>
        TBlock.Decode(source, new QuantOutput128<TTarget, TStores>(destination));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step<TSource, TTarget, TStores>(byte* source, byte* destination)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores
    {
        TSource.Load(source, out Vector128<float> lower, out var upper);
        TTarget.Store<TStores>(destination, lower, upper);
    }

    /// <summary>Nothing is narrower: one step over buffers of eight values, of which only those wanted are copied out.</summary>
    public static void RunShort<TSource, TTarget>(byte* source, byte* destination, nint count)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
    {
        var padded = stackalloc byte[8 * sizeof(double)];
        var converted = stackalloc byte[8 * sizeof(double)];
        Unsafe.CopyBlockUnaligned(padded, source, (uint)(count * TSource.Size));
        Step<TSource, TTarget, CachedStores>(padded, converted);
        Unsafe.CopyBlockUnaligned(destination, converted, (uint)(count * TTarget.Size));
    }
}

/// <summary>Vectors of 256 bits: AVX2.</summary>
internal readonly unsafe struct Width256 : IVectorWidth
{
    public static int Bytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TBlock, TTarget, TStores>(byte* source, byte* destination)
        where TBlock : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores =>
        TBlock.Decode(source, new QuantOutput256<TTarget, TStores>(destination));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step<TSource, TTarget, TStores>(byte* source, byte* destination)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores
    {
        TSource.Load(source, out Vector256<float> lower, out var upper);
        TTarget.Store<TStores>(destination, lower, upper);
    }

    public static void RunShort<TSource, TTarget>(byte* source, byte* destination, nint count)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget =>
        VectorConversion.Run<Width128, TSource, TTarget>(source, destination, count, bypassCache: false);
}

/// <summary>Vectors of 512 bits: AVX-512.</summary>
internal readonly unsafe struct Width512 : IVectorWidth
{
    public static int Bytes => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TBlock, TTarget, TStores>(byte* source, byte* destination)
        where TBlock : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores =>
        TBlock.Decode(source, new QuantOutput512<TTarget, TStores>(destination));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step<TSource, TTarget, TStores>(byte* source, byte* destination)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores
    {
        if (typeof(TTarget) == typeof(BF16Vectors) && TSource.HasBrain)
        {
            TStores.Store(destination, TSource.LoadBrain(source).AsByte());
            return;
        }

        TSource.Load(source, out Vector512<float> lower, out var upper);
        TTarget.Store<TStores>(destination, lower, upper);
    }

    public static void RunShort<TSource, TTarget>(byte* source, byte* destination, nint count)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget =>
        VectorConversion.Run<Width256, TSource, TTarget>(source, destination, count, bypassCache: false);
}
