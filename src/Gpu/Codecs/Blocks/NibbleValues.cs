using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// What codes of four bits stand for where that is no straight line: the 16 numbers of IQ4_NL (kvalues_iq4nl in ggml), and
/// floats of type E2M1 times two, so that they are integers. In constants: a table in memory would cost a load a value.
/// </summary>
internal static class NibbleValues
{
    // Signed bytes, the first in the lowest: -127 -104 -83 -65 -49 -35 -22 -10, then 1 13 25 38 53 69 89 113.
    private const long NonlinearLower = unchecked((long)0xF6EA_DDCF_BFAD_9881);
    private const long NonlinearUpper = 0x7159_4535_2619_0D01;

    // Without sign 0 1 2 3 4 6 8 12; minus zero is lost among integers, as in ggml.
    private const long FloatsLower = 0x0C08_0604_0302_0100;
    private const long FloatsUpper = unchecked((long)0xF4F8_FAFC_FDFE_FF00);

    /// <summary>Stores scale * number of the codes in the low four bits of four bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteNonlinear<TSink>(TSink sink, long index, int scale, int codes)
        where TSink : struct, IValueSink =>
        Write(sink, index, scale, codes, NonlinearLower, NonlinearUpper);

    /// <summary>Stores scale * number of the E2M1 floats, taken twice as large, in the low four bits of four bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteFloats<TSink>(TSink sink, long index, int scale, int codes)
        where TSink : struct, IValueSink =>
        Write(sink, index, scale, codes, FloatsLower, FloatsUpper);

    /// <summary>The numbers of codes 0 to 15.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> LookUpNonlinear(Vector256<byte> codes) =>
        LookUp(codes, Vector128.Create(NonlinearLower, NonlinearUpper).AsByte());

    /// <inheritdoc cref="LookUpNonlinear"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> LookUpFloats(Vector256<byte> codes) =>
        LookUp(codes, Vector128.Create(FloatsLower, FloatsUpper).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> LookUp(Vector256<byte> codes, Vector128<byte> numbers) => Avx2.IsSupported
        ? Avx2.Shuffle(Vector256.Create(numbers, numbers), codes).AsSByte()
        : Vector256.Create(
            Vector128.Shuffle(numbers, codes.GetLower()), Vector128.Shuffle(numbers, codes.GetUpper())).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TSink>(TSink sink, long index, int scale, int codes, long lower, long upper)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            Multiply(scale, codes, lower, upper),
            Multiply(scale, codes >> 8, lower, upper),
            Multiply(scale, codes >> 16, lower, upper),
            Multiply(scale, codes >> 24, lower, upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Multiply(int scale, int code, long lower, long upper)
    {
        // Not a conditional expression: the JIT makes a jump of it, which random codes take at random.
        var numbers = lower ^ ((lower ^ upper) & -(long)((code >> 3) & 1));
        return BlockArithmetic.Multiply(scale, (sbyte)(numbers >> ((code & 7) * 8)));
    }
}
