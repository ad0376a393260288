namespace IlgpuLoader.Loading;

/// <summary>Differences between two rows of values, which two of them merge into one.</summary>
internal struct DifferenceCounts()
{
    /// <summary>Values that differ.</summary>
    public long Different;

    /// <summary>Elements or blocks whose bytes alone differ.</summary>
    public long BytesOnly;

    /// <summary>NaN on the right only.</summary>
    public long NaNAppeared;

    /// <summary>NaN on the left only.</summary>
    public long NaNDisappeared;

    /// <summary>The largest absolute difference; negative where there is none.</summary>
    public double Largest = -1;

    /// <summary>Where that is, counted in values.</summary>
    public long LargestIndex;

    /// <summary>The value on the left there.</summary>
    public StoredValue Left;

    /// <summary>The value on the right there.</summary>
    public StoredValue Right;

    /// <summary>The largest relative difference; negative where there is none.</summary>
    public double LargestRelative = -1;

    /// <summary>Counts one pair.</summary>
    public void Add(long index, StoredValue left, StoredValue right)
    {
        var (absolute, relative) = left.Exact is null && right.Exact is null
            ? Between(left.Number, right.Number)
            : Between(left, right);
        if (absolute == 0)
        {
            return;
        }

        Different++;
        var (isNaN, wasNaN) = (double.IsNaN(right.Number), double.IsNaN(left.Number));
        NaNAppeared += isNaN && !wasNaN ? 1 : 0;
        NaNDisappeared += wasNaN && !isNaN ? 1 : 0;
        if (absolute > Largest)
        {
            (Largest, LargestIndex, Left, Right) = (absolute, index, left, right);
        }

        // Comparisons with NaN are false: what has no relative difference is left out.
        LargestRelative = relative > LargestRelative ? relative : LargestRelative;
    }

    /// <summary>Merges what follows.</summary>
    public void Add(in DifferenceCounts next)
    {
        Different += next.Different;
        BytesOnly += next.BytesOnly;
        NaNAppeared += next.NaNAppeared;
        NaNDisappeared += next.NaNDisappeared;
        LargestRelative = Math.Max(LargestRelative, next.LargestRelative);
        if (next.Largest > Largest)
        {
            (Largest, LargestIndex, Left, Right) = (next.Largest, next.LargestIndex, next.Left, next.Right);
        }
    }

    // NaN stands for "no difference in numbers"; 0 for equal values.
    private static (double Absolute, double Relative) Between(double left, double right)
    {
        if (left == right || (double.IsNaN(left) && double.IsNaN(right)))
        {
            return (0, 0);
        }

        var absolute = Math.Abs(left - right);
        var magnitude = Math.Max(Math.Abs(left), Math.Abs(right));
        return (absolute, !double.IsFinite(magnitude) ? double.NaN
            : double.IsInfinity(absolute) ? Math.Abs((left / magnitude) - (right / magnitude))
            : absolute / magnitude);
    }

    // One of the two is a 64-bit integer: a double would take neighbours for equal.
    private static (double Absolute, double Relative) Between(StoredValue left, StoredValue right)
    {
        if (!TryGetInteger(left, out var a) || !TryGetInteger(right, out var b))
        {
            return Between(left.Number, right.Number);
        }

        var difference = a > b ? a - b : b - a;
        var magnitude = Int128.Max(Int128.Abs(a), Int128.Abs(b));
        return difference == 0 ? (0, 0) : ((double)difference, (double)difference / (double)magnitude);
    }

    // What is no integer, or beyond the range of 64-bit ones, differs from each of them by more than rounding.
    private static bool TryGetInteger(StoredValue value, out Int128 integer)
    {
        const double beyond = 36893488147419103232.0;
        var isInteger = value.Exact is not null || (Math.Abs(value.Number) < beyond && Math.Floor(value.Number) == value.Number);
        integer = value.Exact ?? (isInteger ? (Int128)value.Number : 0);
        return isInteger;
    }
}
