using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Divides non-negative ints by one number with a multiplication and a shift: devices divide slowly, and their compilers do not know the number.</summary>
/// <remarks>
/// Granlund and Montgomery (1994): with l = ceil(log2 d) and m = floor(2^(31 + l) / d) + 1, floor(n m / 2^(31 + l)) is floor(n / d) for all n below 2^31. The product is
/// below 2^63.
/// </remarks>
internal readonly struct InvariantDivisor
{
    private readonly long _multiplier;
    private readonly int _shift;

    /// <summary>Prepares a divisor.</summary>
    /// <param name="divisor">At least 1; what is larger than an int divides every int to 0.</param>
    public InvariantDivisor(long divisor)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(divisor);
        if (divisor > int.MaxValue)
        {
            return;
        }

        _shift = 31 + (divisor == 1 ? 0 : (int)long.Log2(divisor - 1) + 1);
        _multiplier = (long)(((Int128)1 << _shift) / divisor) + 1;
    }

    /// <summary>The whole quotient.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Divide(int dividend) => (int)((dividend * _multiplier) >> _shift);
}
