using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;
using System.Reflection;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>Reads one value of a configuration, which is always a text.</summary>
internal static class OptionValue
{
    /// <summary>Whether a type is one value: a text, a number, true or false, a time, or one of several names.</summary>
    public static bool IsValue(Type type)
    {
        var inner = Nullable.GetUnderlyingType(type) ?? type;
        return inner.IsEnum || inner == typeof(string) || inner == typeof(bool) || inner == typeof(int) || inner == typeof(long) || inner == typeof(double) || inner == typeof(TimeSpan);
    }

    /// <summary>Reads a value.</summary>
    /// <param name="text">The text. An empty one is null where there may be none, so that a variable of the environment can take back what a file has.</param>
    /// <param name="property">The property that it is for.</param>
    /// <param name="value">The value; null also where that is the value.</param>
    /// <param name="problem">What is wrong with it.</param>
    public static bool TryRead(string text, PropertyInfo property, out object? value, [NotNullWhen(false)] out string? problem)
    {
        (value, problem) = text.Length == 0 && IsNullable(property) ? default : Read(text, Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType);
        problem = problem is null ? null : $"{Quoted.Name(text)} {problem}";
        return problem is null;
    }

    private static (object? Value, string? Problem) Read(string text, Type type)
    {
        if (type == typeof(string))
        {
            return (text, null);
        }

        if (type == typeof(bool))
        {
            return bool.TryParse(text, out var flag) ? (flag, null) : (null, "is neither true nor false");
        }

        if (type == typeof(int))
        {
            return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? (number, null) : (null, DescribeNumber(text, int.MinValue, int.MaxValue));
        }

        if (type == typeof(long))
        {
            return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? (number, null) : (null, DescribeNumber(text, long.MinValue, long.MaxValue));
        }

        if (type == typeof(double))
        {
            return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? (number, null) : (null, "is no number");
        }

        return type == typeof(TimeSpan) ? ReadTime(text) : ReadName(text, type);
    }

    // A number alone would be days, which nobody means who writes 30.
    private static (object? Value, string? Problem) ReadTime(string text) =>
        text.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time)
            ? (time, null)
            : (null, "is no time; half a minute is 00:00:30");

    // Enum.Parse takes numbers too, and several names with commas, which no file means.
    private static (object? Value, string? Problem) ReadName(string text, Type type) =>
        Array.Find(Enum.GetNames(type), name => name.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } found
            ? (Enum.Parse(type, found), null)
            : (null, $"is none of {string.Join(", ", Enum.GetNames(type))}");

    private static string DescribeNumber(string text, long smallest, long largest) =>
        BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _) ? $"is not between {smallest} and {largest}" : "is no whole number";

    private static bool IsNullable(PropertyInfo property) =>
        property.PropertyType.IsValueType ? Nullable.GetUnderlyingType(property.PropertyType) is not null : new NullabilityInfoContext().Create(property).WriteState == NullabilityState.Nullable;
}
