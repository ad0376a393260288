using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>One value of a tensor, without loss: a number, or one of the two parts of a complex number. Immutable.</summary>
/// <param name="DType">The type it is stored in; of a complex type, the type of the part.</param>
/// <param name="Number">The value as a double: exact for every type but I64 and U64, where it is the nearest.</param>
/// <param name="Exact">The exact value of an I64 or U64; null for other types.</param>
public readonly record struct StoredValue(DType DType, double Number, Int128? Exact = null)
{
    // A bfloat16 has 8 significant bits, which four decimal digits tell apart.
    private const int BFloat16Digits = 4;

    /// <summary>
    /// The shortest text that reads back as the same value of this type, in the invariant culture; <c>true</c> and
    /// <c>false</c> for BOOL, <c>NaN</c>, <c>Infinity</c> and <c>-Infinity</c> for those.
    /// </summary>
    public override string ToString()
    {
        if (Exact is { } integer)
        {
            return integer.ToString(CultureInfo.InvariantCulture);
        }

        return DType switch
        {
            DType.BOOL => Number == 0 ? "false" : "true",
            DType.F64 => Number.ToString(CultureInfo.InvariantCulture),
            DType.F16 => ((Half)Number).ToString(CultureInfo.InvariantCulture),
            DType.BF16 => FormatBFloat16(),
            _ when DType.Kind == DTypeKind.Integer => ((long)Number).ToString(CultureInfo.InvariantCulture),
            _ => ((float)Number).ToString(CultureInfo.InvariantCulture),
        };
    }

    private string FormatBFloat16()
    {
        for (var digits = 1; digits < BFloat16Digits && double.IsFinite(Number); digits++)
        {
            var shorter = double.Parse(Number.ToString($"E{digits - 1}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
            if (ToBFloat16(shorter) == ToBFloat16(Number))
            {
                return ((float)shorter).ToString(CultureInfo.InvariantCulture);
            }
        }

        return double.IsFinite(Number)
            ? float.Parse(Number.ToString($"E{BFloat16Digits - 1}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
                .ToString(CultureInfo.InvariantCulture)
            : Number.ToString(CultureInfo.InvariantCulture);
    }

    private static int ToBFloat16(double number) => FloatBits.SingleToBFloat16(BitConverter.SingleToInt32Bits((float)number));
}
