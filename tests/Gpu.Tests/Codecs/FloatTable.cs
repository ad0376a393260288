using System.Collections.Concurrent;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// A small float type as the table of its values: each from sign, exponent, mantissa and bias (formats.md 1.4), in float64.
/// Narrowing is a search in the table. Nothing here is taken from the code under test.
/// </summary>
internal sealed class FloatTable
{
    private static readonly ConcurrentDictionary<DType, FloatTable> Tables = new();

    private readonly int _exponentBits;
    private readonly int _mantissaBits;
    private readonly int _bias;
    private readonly double[] _magnitudes;
    private readonly ulong _overflow;
    private readonly Func<ulong, bool> _isNaN;

    private FloatTable(int exponentBits, int mantissaBits, int bias, ulong lastNumber, ulong overflow, Func<ulong, bool> isNaN)
    {
        (_exponentBits, _mantissaBits, _bias, _overflow, _isNaN) = (exponentBits, mantissaBits, bias, overflow, isNaN);

        // One more than there are: where the next value would be if the type went on.
        _magnitudes = [.. Enumerable.Range(0, (int)lastNumber + 2).Select(code => Magnitude((ulong)code))];
    }

    private ulong Sign => 1UL << (_exponentBits + _mantissaBits);

    private bool HasNegativeZero => !_isNaN(Sign);

    /// <summary>Every midpoint of two neighbours, the last on the way to what would come behind the largest, and the values.</summary>
    public IEnumerable<double> ValuesAndMidpoints =>
        _magnitudes.Zip(_magnitudes.Skip(1), (below, above) => (below + above) / 2).Concat(_magnitudes);

    public static FloatTable Of(DType dtype) => Tables.GetOrAdd(dtype, Make);

    /// <summary>The F32 (its bits) that a code of at most eight bits stands for.</summary>
    public ulong ToSingle(ulong code)
    {
        if (_isNaN(code))
        {
            // The sign bit of 80 is part of the only NaN's name, not a sign.
            return HasNegativeZero && (code & Sign) != 0 ? 0xFFC0_0000 : 0x7FC0_0000;
        }

        var isInfinite = (code & (Sign - 1)) >= (ulong)_magnitudes.Length - 1;
        var magnitude = isInfinite ? double.PositiveInfinity : Magnitude(code & (Sign - 1));
        return BitConverter.SingleToUInt32Bits((float)((code & Sign) != 0 ? -magnitude : magnitude));
    }

    /// <summary>The code nearest to a number, ties to the even code; not for NaN.</summary>
    public ulong Nearest(double value)
    {
        var magnitude = Math.Abs(value);
        var at = Array.BinarySearch(_magnitudes, magnitude);
        if (at < 0)
        {
            at = ~at;
            if (at == _magnitudes.Length)
            {
                at--;
            }
            else
            {
                var (toBelow, toAbove) = (magnitude - _magnitudes[at - 1], _magnitudes[at] - magnitude);
                at -= toBelow < toAbove || (toBelow == toAbove && at % 2 != 0) ? 1 : 0;
            }
        }

        var code = at == _magnitudes.Length - 1 ? _overflow : (ulong)at;
        return !double.IsNegative(value) || (code == 0 && !HasNegativeZero) ? code : code | Sign;
    }

    private double Magnitude(ulong code)
    {
        var exponent = (int)(code >> _mantissaBits);
        double mantissa = code & ((1UL << _mantissaBits) - 1);
        return exponent == 0
            ? Math.ScaleB(mantissa, 1 - _bias - _mantissaBits)
            : Math.ScaleB(Math.ScaleB(1, _mantissaBits) + mantissa, exponent - _bias - _mantissaBits);
    }

    private static FloatTable Make(DType dtype) => dtype switch
    {
        DType.F4 => new(2, 1, 1, 0x7, 0, _ => false),
        DType.F6_E2M3 => new(2, 3, 1, 0x1F, 0, _ => false),
        DType.F6_E3M2 => new(3, 2, 3, 0x1F, 0, _ => false),
        DType.F8_E4M3 => new(4, 3, 7, 0x7E, 0x7F, code => (code & 0x7F) == 0x7F),
        DType.F8_E5M2 => new(5, 2, 15, 0x7B, 0x7C, code => (code & 0x7F) > 0x7C),
        DType.F8_E4M3FNUZ => new(4, 3, 8, 0x7F, 0x80, code => code == 0x80),
        DType.F8_E5M2FNUZ => new(5, 2, 16, 0x7F, 0x80, code => code == 0x80),
        DType.F16 => new(5, 10, 15, 0x7BFF, 0x7C00, code => (code & 0x7FFF) > 0x7C00),
        DType.BF16 => new(8, 7, 127, 0x7F7F, 0x7F80, code => (code & 0x7FFF) > 0x7F80),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };
}
