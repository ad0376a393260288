using System.Buffers;
using System.Globalization;

namespace IlgpuLoader.Cli.Output;

/// <summary>Byte sizes as people write and read them.</summary>
internal static class Sizes
{
    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A size with three digits and a binary unit, such as <c>4.00 GiB</c>.</summary>
    public static string Format(long bytes)
    {
        var value = (double)bytes;
        var unit = 0;
        while (value >= 1000 && unit < Units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        var digits = unit == 0 ? "0" : value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00";
        return $"{value.ToString(digits, CultureInfo.InvariantCulture)} {Units[unit]}";
    }

    /// <summary>A count with its word, such as <c>1 tensor</c> or <c>1,234 tensors</c>.</summary>
    public static string Count(long count, string word) => $"{Count(count)} {word}{(count == 1 ? "" : "s")}";

    /// <summary>A count with thousands separators.</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>
    /// Reads a size: a number, and K, M, G, T with or without iB for powers of 1024, or KB, MB, GB, TB for powers of 1000.
    /// </summary>
    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        var end = text.AsSpan().IndexOfAnyExcept(NumberCharacters);
        var number = end < 0 ? text : text[..end];
        var unit = (end < 0 ? "" : text[end..]).Trim().ToUpperInvariant();
        long? factor = unit switch
        {
            "" or "B" => 1,
            "K" or "KIB" => 1L << 10,
            "M" or "MIB" => 1L << 20,
            "G" or "GIB" => 1L << 30,
            "T" or "TIB" => 1L << 40,
            "KB" => 1000,
            "MB" => 1000_000,
            "GB" => 1000_000_000,
            "TB" => 1000_000_000_000,
            _ => null,
        };
        if (factor is null
            || !decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            || value > (decimal)long.MaxValue / factor.Value)
        {
            return false;
        }

        bytes = (long)(value * factor.Value);
        return true;
    }
}
