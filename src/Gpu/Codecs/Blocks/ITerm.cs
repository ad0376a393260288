using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>What is done with a product and a term.</summary>
internal interface ITerm
{
    static abstract Vector128<float> Apply(Vector128<float> product, Vector128<float> term);

    static abstract Vector256<float> Apply(Vector256<float> product, Vector256<float> term);

    static abstract Vector512<float> Apply(Vector512<float> product, Vector512<float> term);
}

/// <summary>product + term.</summary>
internal readonly struct Plus : ITerm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Apply(Vector128<float> product, Vector128<float> term) => DefinedNaN.OfSum(product + term, product, term);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Apply(Vector256<float> product, Vector256<float> term) => DefinedNaN.OfSum(product + term, product, term);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Apply(Vector512<float> product, Vector512<float> term) => DefinedNaN.OfSum(product + term, product, term);
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
