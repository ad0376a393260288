namespace IlgpuLoader.Loading;

/// <summary>
/// What weights of raw blocks and the entries of their types are called: <c>weight</c> in the last part of the name, behind the
/// last dot, becomes <c>qweight</c> and <c>qweight_type</c>.
/// </summary>
internal static class QuantisedName
{
    private const string Weight = "weight";

    /// <summary>Whether a name can be renamed so.</summary>
    public static bool Exists(string name) => LastPart(name).Contains(Weight, StringComparison.Ordinal);

    /// <summary>The name of the blocks.</summary>
    public static string OfWeight(string name) => Rename(name, "qweight");

    /// <summary>The name of their type.</summary>
    public static string OfType(string name) => Rename(name, "qweight_type");

    private static string Rename(string name, string to)
    {
        var last = LastPart(name);
        return string.Concat(name.AsSpan(0, name.Length - last.Length), last.ToString().Replace(Weight, to, StringComparison.Ordinal));
    }

    private static ReadOnlySpan<char> LastPart(string name) => name.AsSpan(name.LastIndexOf('.') + 1);
}
