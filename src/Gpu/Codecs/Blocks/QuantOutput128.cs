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
    public void Write(
        int unit, Vector256<sbyte> quants, float lowerScale, float lowerSubtrahend, float upperScale, float upperSubtrahend)
    {
        WriteHalf(unit * 4, quants.GetLower(), Vector128.Create(lowerScale), Vector128.Create(lowerSubtrahend));
        WriteHalf((unit * 4) + 2, quants.GetUpper(), Vector128.Create(upperScale), Vector128.Create(upperSubtrahend));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf(int quarter, Vector128<sbyte> quants, Vector128<float> scales)
    {
        var (lower, upper) = Vector128.Widen(quants);
        Store(quarter, Multiply(Vector128.WidenLower(lower), scales), Multiply(Vector128.WidenUpper(lower), scales));
        Store(quarter + 1, Multiply(Vector128.WidenLower(upper), scales), Multiply(Vector128.WidenUpper(upper), scales));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteHalf(int quarter, Vector128<sbyte> quants, Vector128<float> scales, Vector128<float> subtrahends)
    {
        var (lower, upper) = Vector128.Widen(quants);
        Store(
            quarter,
            DefinedNaN.Subtract(Multiply(Vector128.WidenLower(lower), scales), subtrahends),
            DefinedNaN.Subtract(Multiply(Vector128.WidenUpper(lower), scales), subtrahends));
        Store(
            quarter + 1,
            DefinedNaN.Subtract(Multiply(Vector128.WidenLower(upper), scales), subtrahends),
            DefinedNaN.Subtract(Multiply(Vector128.WidenUpper(upper), scales), subtrahends));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(int quarter, Vector128<float> lower, Vector128<float> upper) =>
        TTarget.Store<TStores>(_destination + (quarter * Unit.Length / 4 * TTarget.Size), lower, upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Multiply(Vector128<int> quants, Vector128<float> scales) =>
        DefinedNaN.OfProduct(Vector128.ConvertToSingle(quants) * scales, scales);
}
