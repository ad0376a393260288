using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>Units scaled and stored in vectors of 512 bits: each half of a unit is one vector of float32.</summary>
/// <param name="destination">Where the block's first value goes.</param>
internal readonly unsafe struct QuantOutput512<TTarget, TStores>(byte* destination) : IQuantOutput
    where TTarget : struct, IVectorTarget
    where TStores : struct, IStores
{
    private readonly byte* _destination = destination;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int unit, Vector256<sbyte> quants, float lowerScale, float upperScale) =>
        Store(
            _destination + (unit * Unit.Length * TTarget.Size),
            Multiply(quants.GetLower(), lowerScale),
            Multiply(quants.GetUpper(), upperScale));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write<TTerm>(int unit, Vector256<sbyte> quants, float lowerScale, float lowerTerm, float upperScale, float upperTerm)
        where TTerm : struct, ITerm =>
        Store(
            _destination + (unit * Unit.Length * TTarget.Size),
            TTerm.Apply(Multiply(quants.GetLower(), lowerScale), Vector512.Create(lowerTerm)),
            TTerm.Apply(Multiply(quants.GetUpper(), upperScale), Vector512.Create(upperTerm)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(byte* destination, Vector512<float> lower, Vector512<float> upper)
    {
        if (typeof(TTarget) == typeof(BF16Vectors))
        {
            BF16Vectors.StoreResults<TStores>(destination, lower, upper);
        }
        else
        {
            TTarget.Store<TStores>(destination, lower, upper);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Multiply(Vector128<sbyte> quants, float scale)
    {
        var scales = Vector512.Create(scale);
        return DefinedNaN.OfProduct(Vector512.ConvertToSingle(Widen(quants)) * scales, scales);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Widen(Vector128<sbyte> quants)
    {
        if (Avx512F.IsSupported)
        {
            return Avx512F.ConvertToVector512Int32(quants);
        }

        var (lower, upper) = Vector128.Widen(quants);
        var (first, second) = Vector128.Widen(lower);
        var (third, fourth) = Vector128.Widen(upper);
        return Vector512.Create(Vector256.Create(first, second), Vector256.Create(third, fourth));
    }
}
