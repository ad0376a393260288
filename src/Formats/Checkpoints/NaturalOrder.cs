namespace IlgpuLoader.Formats;

/// <summary>Orders names as people count: runs of digits by value, so that <c>-2-</c> comes before <c>-10-</c>.</summary>
public sealed class NaturalOrder : IComparer<string>
{
    private NaturalOrder()
    {
    }

    /// <summary>The only instance; safe for any thread.</summary>
    public static NaturalOrder Instance { get; } = new();

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        if (x is null || y is null)
        {
            return string.CompareOrdinal(x, y);
        }

        var a = x.AsSpan();
        var b = y.AsSpan();
        while (!a.IsEmpty && !b.IsEmpty)
        {
            if (char.IsAsciiDigit(a[0]) && char.IsAsciiDigit(b[0]))
            {
                // Without leading zeros, the longer number is the larger, and equally long ones compare as text.
                var left = TakeDigits(ref a).TrimStart('0');
                var right = TakeDigits(ref b).TrimStart('0');
                var byValue = left.Length != right.Length ? left.Length.CompareTo(right.Length) : left.SequenceCompareTo(right);
                if (byValue != 0)
                {
                    return byValue;
                }
            }
            else
            {
                var byCharacter = a[0].CompareTo(b[0]);
                if (byCharacter != 0)
                {
                    return byCharacter;
                }

                a = a[1..];
                b = b[1..];
            }
        }

        // Equal but for leading zeros, or one is the beginning of the other.
        return a.Length != b.Length ? a.Length.CompareTo(b.Length) : string.CompareOrdinal(x, y);
    }

    private static ReadOnlySpan<char> TakeDigits(ref ReadOnlySpan<char> text)
    {
        var length = text.IndexOfAnyExceptInRange('0', '9');
        var digits = length < 0 ? text : text[..length];
        text = text[digits.Length..];
        return digits;
    }
}
