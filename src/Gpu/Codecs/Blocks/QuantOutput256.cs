using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>Units scaled and stored in vectors of 256 bits: each half of a unit is two vectors of float32.</summary>
/// <param name="destination">Where the block's first value goes.</param>
internal readonly unsafe struct QuantOutput256<TTarget, TStores>(byte* destination) : IQuantOutput
    where TTarget : struct, IVectorTarget
    where TStores : struct, IStores
{
    private readonly byte* _destination = destination;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int unit, Vector256<sbyte> quants, float lowerScale, float upperScale)
    {
        WriteHalf(unit * 2, quants.GetLower(), lowerScale);
        WriteHalf((unit * 2) + 1, quants.GetUpper(), upperScale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write<TTerm>(int unit, Vector256<sbyte> quants, float lowerScale, float lowerTerm, float upperScale, float upperTerm)
        where TTerm : struct, ITerm
    {
        WriteHalf<TTerm>(unit * 2, quants.GetLower(), lowerScale, lowerTerm);
        WriteHalf<TTerm>((unit * 2) + 1, quants.GetUpper(), upperScale, upperTerm);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf(int half, Vector128<sbyte> quants, float scale)
    {
        var (first, second) = Multiply(quants, Vector256.Create(scale));
        TTarget.Store<TStores>(_destination + (half * Unit.Length / 2 * TTarget.Size), first, second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf<TTerm>(int half, Vector128<sbyte> quants, float scale, float term)
        where TTerm : struct, ITerm
    {
        var (first, second) = Multiply(quants, Vector256.Create(scale));
        TTarget.Store<TStores>(
            _destination + (half * Unit.Length / 2 * TTarget.Size),
            TTerm.Apply(first, Vector256.Create(term)),
            TTerm.Apply(second, Vector256.Create(term)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> First, Vector256<float> Second) Multiply(Vector128<sbyte> quants, Vector256<float> scales)
    {
        Vector256<int> first;
        Vector256<int> second;
        if (Avx2.IsSupported)
        {
            first = Avx2.ConvertToVector256Int32(quants);
            second = Avx2.ConvertToVector256Int32(Vector128.Shuffle(quants.AsInt64(), Vector128.Create(1L, 1L)).AsSByte());
        }
        else
        {
            var (lower, upper) = Vector128.Widen(quants);
            first = Vector256.Create(Vector128.WidenLower(lower), Vector128.WidenUpper(lower));
            second = Vector256.Create(Vector128.WidenLower(upper), Vector128.WidenUpper(upper));
        }

        return (
            DefinedNaN.OfProduct(Vector256.ConvertToSingle(first) * scales, scales),
            DefinedNaN.OfProduct(Vector256.ConvertToSingle(second) * scales, scales));
    }
}
