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

    /// <summary>A product of a finite quant and a scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> OfProduct(Vector128<float> product, Vector128<float> scale) => X86Base.IsSupported
        ? product
        : Vector128.ConditionalSelect(
            Vector128.Equals(product, product),
            product,
            Vector128.ConditionalSelect(Vector128.Equals(scale, scale).AsInt32(), Vector128.Create(Invalid), scale.AsInt32() | Vector128.Create(Quiet)).AsSingle());

    /// <inheritdoc cref="OfProduct(Vector128{float}, Vector128{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> OfProduct(Vector256<float> product, Vector256<float> scale) => X86Base.IsSupported
        ? product
        : Vector256.Create(
            OfProduct(product.GetLower(), scale.GetLower()), OfProduct(product.GetUpper(), scale.GetUpper()));

    /// <inheritdoc cref="OfProduct(Vector128{float}, Vector128{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> OfProduct(Vector512<float> product, Vector512<float> scale) => X86Base.IsSupported
        ? product
        : Vector512.Create(
            OfProduct(product.GetLower(), scale.GetLower()), OfProduct(product.GetUpper(), scale.GetUpper()));

    /// <summary>product - subtrahend.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Subtract(Vector128<float> product, Vector128<float> subtrahend)
    {
        var difference = product - subtrahend;
        return X86Base.IsSupported
            ? difference
            : Vector128.ConditionalSelect(
                Vector128.Equals(difference, difference),
                difference,
                Vector128.ConditionalSelect(Vector128.Equals(product, product), OfProduct(difference, subtrahend), product));
    }

    /// <inheritdoc cref="Subtract(Vector128{float}, Vector128{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> product, Vector256<float> subtrahend) => X86Base.IsSupported
        ? product - subtrahend
        : Vector256.Create(
            Subtract(product.GetLower(), subtrahend.GetLower()), Subtract(product.GetUpper(), subtrahend.GetUpper()));

    /// <inheritdoc cref="Subtract(Vector128{float}, Vector128{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> product, Vector512<float> subtrahend) => X86Base.IsSupported
        ? product - subtrahend
        : Vector512.Create(
            Subtract(product.GetLower(), subtrahend.GetLower()), Subtract(product.GetUpper(), subtrahend.GetUpper()));
}
