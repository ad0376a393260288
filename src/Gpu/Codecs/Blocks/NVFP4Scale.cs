using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The scales of NVFP4, halved: unsigned floats with four bits of exponent and three of mantissa. Bit 7 is no part of the
/// number, and 7F is zero; but FF is 240, since ggml compares the whole byte.
/// </summary>
internal static unsafe class NVFP4Scale
{
    private const int Zero = 0x7F;

    // Exponents are biased by 7 in UE4M3; one less halves.
    private const int Rebias = (127 - 7 - 1) << 23;
    private const int SmallestNormal = (127 - 6 - 1) << 23;

    /// <summary>One scale, as the bits of a float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Widen(int code)
    {
        var magnitude = (code & 0x7F) << 20;

        // A subnormal's mantissa under the exponent of 2^-7 is 2^-7 too much; taking that away normalises it exactly.
        var subnormal = BitConverter.SingleToInt32Bits(
            BitConverter.Int32BitsToSingle(magnitude + SmallestNormal) - BitConverter.Int32BitsToSingle(SmallestNormal));
        var number = magnitude < 0x0080_0000 ? subnormal : magnitude + Rebias;
        return code == Zero ? 0 : number;
    }

    /// <summary>Four scales.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(byte* source)
    {
        var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(source)).AsByte();
        var codes = Vector128.WidenLower(Vector128.WidenLower(bytes)).AsInt32();
        var magnitude = (codes & Vector128.Create(0x7F)) << 20;
        var number = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector128.Create(SmallestNormal)).AsSingle() - Vector128.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector128.Create(Rebias)).AsSingle());
        return Vector128.AndNot(number, Vector128.Equals(codes, Vector128.Create(Zero)).AsSingle());
    }
}
