using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Gives NaN in vectors the bits that <see cref="BlockArithmetic"/> defines. x64 makes just these by itself, so there nothing
/// is left to do; the JIT removes the rest.
/// </summary>
internal static class DefinedNaN
{
    private const int Quiet = 0x0040_0000;
    private const int Invalid = unchecked((int)0xFFC0_0000);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> OfProduct(Vector128<float> product, Vector128<float> scale) => X86Base.IsSupported
        ? product
        : Vector128.ConditionalSelect(
            Vector128.Equals(product, product),
            product,
            Vector128.ConditionalSelect(Vector128.Equals(scale, scale).AsInt32(), Vector128.Create(Invalid), scale.AsInt32() | Vector128.Create(Quiet)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> OfProduct(Vector256<float> product, Vector256<float> scale) => X86Base.IsSupported
        ? product
        : Vector256.Create(
            OfProduct(product.GetLower(), scale.GetLower()), OfProduct(product.GetUpper(), scale.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> OfProduct(Vector512<float> product, Vector512<float> scale) => X86Base.IsSupported
        ? product
        : Vector512.Create(
            OfProduct(product.GetLower(), scale.GetLower()), OfProduct(product.GetUpper(), scale.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> OfSum(Vector128<float> sum, Vector128<float> product, Vector128<float> term) => X86Base.IsSupported
        ? sum
        : Vector128.ConditionalSelect(
            Vector128.Equals(sum, sum),
            sum,
            Vector128.ConditionalSelect(Vector128.Equals(product, product), OfProduct(sum, term), product));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> OfSum(Vector256<float> sum, Vector256<float> product, Vector256<float> term) => X86Base.IsSupported
        ? sum
        : Vector256.Create(
            OfSum(sum.GetLower(), product.GetLower(), term.GetLower()), OfSum(sum.GetUpper(), product.GetUpper(), term.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> OfSum(Vector512<float> sum, Vector512<float> product, Vector512<float> term) => X86Base.IsSupported
        ? sum
        : Vector512.Create(
            OfSum(sum.GetLower(), product.GetLower(), term.GetLower()), OfSum(sum.GetUpper(), product.GetUpper(), term.GetUpper()));
}
