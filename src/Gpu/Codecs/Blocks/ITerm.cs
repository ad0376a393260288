using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>What is done with a product and a term.</summary>
/// <remarks>
/// There is no addition: the JIT swaps its operands where it likes, and the processor keeps the first operand's NaN, so that of
/// two NaN now one came out, now the other. A type that adds subtracts the negated term (<see cref="HalfScale.LoadNegated"/>).
/// </remarks>
internal interface ITerm
{
    static abstract Vector128<float> Apply(Vector128<float> product, Vector128<float> term);

    static abstract Vector256<float> Apply(Vector256<float> product, Vector256<float> term);

    static abstract Vector512<float> Apply(Vector512<float> product, Vector512<float> term);
}

/// <summary>product - term.</summary>
internal readonly struct Minus : ITerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Apply(Vector128<float> product, Vector128<float> term) => DefinedNaN.OfSum(product - term, product, term);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Apply(Vector256<float> product, Vector256<float> term) => DefinedNaN.OfSum(product - term, product, term);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Apply(Vector512<float> product, Vector512<float> term) => DefinedNaN.OfSum(product - term, product, term);
}
