using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>Units scaled and stored in vectors of 128 bits: each quarter of a unit is two vectors of float32.</summary>
/// <param name="destination">Where the block's first value goes.</param>
internal readonly unsafe struct QuantOutput128<TTarget, TStores>(byte* destination) : IQuantOutput
    where TTarget : struct, IVectorTarget
    where TStores : struct, IStores
{
    private readonly byte* _destination = destination;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int unit, Vector256<sbyte> quants, float lowerScale, float upperScale)
    {
        WriteHalf(unit * 4, quants.GetLower(), Vector128.Create(lowerScale));
        WriteHalf((unit * 4) + 2, quants.GetUpper(), Vector128.Create(upperScale));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write<TTerm>(int unit, Vector256<sbyte> quants, float lowerScale, float lowerTerm, float upperScale, float upperTerm)
        where TTerm : struct, ITerm
    {
        WriteHalf<TTerm>(unit * 4, quants.GetLower(), Vector128.Create(lowerScale), Vector128.Create(lowerTerm));
        WriteHalf<TTerm>((unit * 4) + 2, quants.GetUpper(), Vector128.Create(upperScale), Vector128.Create(upperTerm));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf(int quarter, Vector128<sbyte> quants, Vector128<float> scales)
    {
        var (lower, upper) = Vector128.Widen(quants);
        Store(quarter, Multiply(Vector128.WidenLower(lower), scales), Multiply(Vector128.WidenUpper(lower), scales));
        Store(quarter + 1, Multiply(Vector128.WidenLower(upper), scales), Multiply(Vector128.WidenUpper(upper), scales));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf<TTerm>(int quarter, Vector128<sbyte> quants, Vector128<float> scales, Vector128<float> terms)
        where TTerm : struct, ITerm
    {
        var (lower, upper) = Vector128.Widen(quants);
        Store(
            quarter,
            TTerm.Apply(Multiply(Vector128.WidenLower(lower), scales), terms),
            TTerm.Apply(Multiply(Vector128.WidenUpper(lower), scales), terms));
        Store(
            quarter + 1,
            TTerm.Apply(Multiply(Vector128.WidenLower(upper), scales), terms),
            TTerm.Apply(Multiply(Vector128.WidenUpper(upper), scales), terms));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(int quarter, Vector128<float> lower, Vector128<float> upper) =>
        TTarget.Store<TStores>(_destination + (quarter * Unit.Length / 4 * TTarget.Size), lower, upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Multiply(Vector128<int> quants, Vector128<float> scales) =>
        DefinedNaN.OfProduct(Vector128.ConvertToSingle(quants) * scales, scales);
}
