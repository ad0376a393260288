namespace IlgpuLoader.Loading;

/// <summary>The order of names as Python compares them: by code points. Ordinal UTF-16 differs from it above U+FFFF.</summary>
internal static class CodePoints
{
    /// <summary>Compares two names.</summary>
    public static int Compare(string left, string right)
    {
        var (a, b) = (left.EnumerateRunes().GetEnumerator(), right.EnumerateRunes().GetEnumerator());
        while (true)
        {
            var (hasLeft, hasRight) = (a.MoveNext(), b.MoveNext());
            if (!hasLeft || !hasRight)
            {
                return hasLeft.CompareTo(hasRight);
            }

            var order = a.Current.CompareTo(b.Current);
            if (order != 0)
            {
                return order;
            }
        }
    }
}
