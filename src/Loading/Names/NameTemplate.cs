using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Names in which a part between dots stands for any number.</summary>
internal static class NameTemplate
{
    /// <summary>The number of a block, which transformers calls a layer.</summary>
    public const string Block = "{block}";

    /// <summary>The number of an expert within a block.</summary>
    public const string Expert = "{expert}";

    // A longer run of digits is no number of a block or an expert, and int holds these.
    private const int LongestNumber = 9;

    // Names of checkpoints have three numbers at most (a block, an expert, a member of a list); a hostile name has thousands.
    private const int MostNumbers = 8;

    /// <summary>Whether a part of the name is the placeholder.</summary>
    public static bool Has(string name, string placeholder) => name.Contains(placeholder, StringComparison.Ordinal) && name.Split('.').Contains(placeholder);

    /// <summary>The name with a number in the place of a placeholder; itself where it has none.</summary>
    public static string Fill(string name, string placeholder, int number) =>
        Has(name, placeholder)
            ? string.Join('.', name.Split('.').Select(part => part == placeholder ? number.ToString(CultureInfo.InvariantCulture) : part))
            : name;

    /// <summary>Checks that placeholders occur once and in order, so that the numbers of a name are taken for them in one way only.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public static void Check(string name)
    {
        var placeholders = name.Split('.').Where(part => part is Block or Expert).ToArray();
        if (placeholders is not ([] or [Block] or [Block, Expert]))
        {
            throw new ArgumentException($"The name {Quoted.Name(name)} may have {Block} once, and {Expert} once behind it.");
        }
    }

    /// <summary>The name itself and every template that it may fit, those with fewer placeholders first.</summary>
    public static IEnumerable<(string Template, int? Block, int? Expert)> Of(string name)
    {
        var parts = name.Split('.');
        // Braces in a name are no placeholders: the name would be found, and no number for it.
        if (parts.Any(part => part is Block or Expert))
        {
            yield break;
        }

        yield return (name, null, null);
        int[] numbers = [.. Enumerable.Range(0, parts.Length).Where(i => IsNumber(parts[i])).Take(MostNumbers)];
        foreach (var block in numbers)
        {
            yield return (With(parts, block, null), Number(parts[block]), null);
        }

        foreach (var block in numbers)
        {
            foreach (var expert in numbers.Where(number => number > block))
            {
                yield return (With(parts, block, expert), Number(parts[block]), Number(parts[expert]));
            }
        }
    }

    private static string With(string[] parts, int block, int? expert) =>
        string.Join('.', parts.Select((part, i) => i == block ? Block : i == expert ? Expert : part));

    // Without leading zeros, so that a name is found again from its number.
    private static bool IsNumber(string part) =>
        part.Length is > 0 and <= LongestNumber && part.All(char.IsAsciiDigit) && (part[0] != '0' || part.Length == 1);

    private static int Number(string part) => int.Parse(part, NumberStyles.None, CultureInfo.InvariantCulture);
}
