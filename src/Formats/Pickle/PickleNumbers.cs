using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>The numbers of pickles, boxed.</summary>
/// <param name="settings">The largest integer.</param>
/// <param name="budget">Counts what is made.</param>
/// <param name="errors">Names the opcode whose number is wrong.</param>
internal sealed class PickleNumbers(PickleSettings settings, PickleBudget budget, PickleErrors errors)
{
    // Dimensions, strides and flags are mostly among these, and need no objects of their own.
    private const int SmallestShared = -1;
    private const int LargestShared = 1024;

    // The structure of a BigInteger in its box, and the header of its array.
    private const int BigIntegerBytes = 56;

    // No pickler writes more digits of a double than repr's 17 with sign, point and exponent.
    private const int LongestFloat = 64;

    private const double DecimalDigitsPerByte = 2.41;

    private static readonly SearchValues<byte> FloatCharacters = SearchValues.Create("0123456789+-.eE"u8);

    private static readonly object[] Shared =
        [.. Enumerable.Range(SmallestShared, LargestShared - SmallestShared + 1).Select(value => (object)(long)value)];

    /// <summary>False, in the box that all share.</summary>
    public static object False { get; } = false;

    /// <summary>True, in the box that all share.</summary>
    public static object True { get; } = true;

    /// <summary>An integer.</summary>
    public object Integer(long value)
    {
        if (value is >= SmallestShared and <= LargestShared)
        {
            return Shared[value - SmallestShared];
        }

        budget.AddValue(PickleBudget.NumberBytes);
        return value;
    }

    /// <summary>An integer in two's complement, lowest byte first; none at all is zero.</summary>
    public object Integer(ReadOnlySpan<byte> bytes)
    {
        Check(bytes.Length);
        if (bytes.Length > sizeof(long))
        {
            budget.AddValue(BigIntegerBytes + bytes.Length);
            return Boxed(new BigInteger(bytes));
        }

        if (bytes.IsEmpty)
        {
            return Integer(0);
        }

        var value = (long)(sbyte)bytes[^1];
        for (var position = bytes.Length - 2; position >= 0; position--)
        {
            value = (value << 8) | bytes[position];
        }

        return Integer(value);
    }

    /// <summary>The argument of INT: a decimal integer, or 00 and 01, which are False and True.</summary>
    public object IntegerOrBoolean(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("00"u8) ? False : text.SequenceEqual("01"u8) ? True : Decimal(text);

    /// <summary>The argument of LONG: a decimal integer with an L behind it, which Python 3 demands of nobody.</summary>
    public object Long(ReadOnlySpan<byte> text) => Decimal(text is [.. var digits, (byte)'L'] ? digits : text);

    /// <summary>A double.</summary>
    public object Float(double value)
    {
        budget.AddValue(PickleBudget.NumberBytes);
        return value;
    }

    /// <summary>The argument of FLOAT: what repr writes.</summary>
    public object Float(ReadOnlySpan<byte> text)
    {
        if (text.Length <= LongestFloat)
        {
            var unsigned = text is [(byte)'-', .. var behind] ? behind : text;
            if (unsigned.SequenceEqual("inf"u8))
            {
                return Float(unsigned.Length == text.Length ? double.PositiveInfinity : double.NegativeInfinity);
            }

            if (unsigned.SequenceEqual("nan"u8))
            {
                return Float(double.NaN);
            }

            // .NET knows words and white space here that Python does not.
            if (!text.ContainsAnyExcept(FloatCharacters)
                && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
            {
                return Float(value);
            }
        }

        throw errors.Invalid($"needs a decimal number, and finds {Shown(text)}");
    }

    /// <summary>The argument of GET and PUT: a decimal index.</summary>
    public uint Index(ReadOnlySpan<byte> text) =>
        Utf8Parser.TryParse(text, out uint index, out var consumed) && consumed == text.Length
            ? index
            : throw errors.Invalid($"needs a decimal index of the memo below 2^32, and finds {Shown(text)}");

    private static string Shown(ReadOnlySpan<byte> text) =>
        // A few characters tell, and a long line is not made into text for the message.
        Quoted.Name(Encoding.Latin1.GetString(text[..Math.Min(text.Length, 256)]));

    // Bytes and digits may begin with any number of zeros.
    private object Boxed(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? Integer((long)value) : value;

    private object Decimal(ReadOnlySpan<byte> text)
    {
        if (Utf8Parser.TryParse(text, out long value, out var consumed) && consumed == text.Length)
        {
            return Integer(value);
        }

        // Parsing takes time that grows faster than the digits: held against the limit first.
        Check((long)(text.Length / DecimalDigitsPerByte));
        var digits = text is [(byte)'-' or (byte)'+', .. var behind] ? behind : text;
        if (digits.IsEmpty || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
        {
            throw errors.Invalid($"needs a decimal integer, and finds {Shown(text)}");
        }

        var parsed = BigInteger.Parse(Encoding.ASCII.GetString(text), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        Check(parsed.GetByteCount());
        budget.AddText(text.Length);
        budget.AddValue(BigIntegerBytes + parsed.GetByteCount());
        return Boxed(parsed);
    }

    private void Check(long bytes)
    {
        if (bytes > settings.MaximumPickleIntegerBytes)
        {
            throw errors.Beyond(
                "length of an integer in the pickle in bytes",
                bytes,
                settings.MaximumPickleIntegerBytes,
                nameof(PickleSettings.MaximumPickleIntegerBytes));
        }
    }
}
