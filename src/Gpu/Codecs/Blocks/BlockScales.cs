using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// F16 scales of a block as float32, a NaN not yet made quiet. In vector registers, where they are needed, and without the jumps that the JIT makes of the
/// scalar body's conditional expressions in a loop.
/// </summary>
internal static unsafe class BlockScales
{
    // Exponents are biased by 15 in F16 and by 127 in F32.
    private const int Rebias = (127 - 15) << 23;
    private const int SmallestNormal = (127 - 14) << 23;
    private const int SingleInfinity = 0x7F80_0000;

    /// <summary>One scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source) =>
        Widen(Vector128.CreateScalarUnsafe((int)Unsafe.ReadUnaligned<short>(source))).ToScalar();

    /// <summary>Two neighbours, in the first two lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadTwo(byte* source) =>
        Widen(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(source)).AsInt16()));

    /// <summary>Numbers negated, NaN as it is: subtracting the result is adding, NaN's bits included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Negate(Vector128<float> term) => term ^ (Vector128.Equals(term, term) & Vector128.Create(-0f));

    // The steps of FloatBits.HalfToSingle, but for a NaN, which stays as it is: the arithmetic that follows makes it quiet.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> half)
    {
        var shifted = half << 13;
        var magnitude = shifted & Vector128.Create(0x0FFF_E000);
        var number = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector128.Create(SmallestNormal)).AsSingle() - Vector128.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector128.Create(Rebias)).AsSingle()).AsInt32();
        var isNotFinite = Vector128.GreaterThan(magnitude, Vector128.Create(0x0F7F_FFFF));
        number |= isNotFinite & Vector128.Create(SingleInfinity);
        return Vector128.ConditionalSelect(Vector128.Create(int.MinValue), shifted, number).AsSingle();
    }
}
