using System.Globalization;
using System.Numerics;
using System.Text;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Writes the values of a pickle as one line; only for graphs without cycles.</summary>
internal static class PickleGraph
{
    public static string Show(object value) => value switch
    {
        PickleNone => "None",
        bool boolean => boolean ? "True" : "False",
        long integer => integer.ToString(CultureInfo.InvariantCulture),
        // What fits a long must be one.
        BigInteger integer when integer < long.MinValue || integer > long.MaxValue => integer.ToString(CultureInfo.InvariantCulture),
        double number => "f" + BitConverter.DoubleToInt64Bits(number).ToString("x16", CultureInfo.InvariantCulture),
        string text => Text(text),
        byte[] bytes => "b" + Convert.ToHexStringLower(bytes),
        PickleList list => $"[{Join(list.Items)}]",
        PickleTuple tuple => $"({Join(tuple.Items)})",
        PickleDictionary dictionary => $"{{{Join(dictionary.Entries)}}}",
        PickleSet set => $"set[{Join(set.Items)}]",
        PickleGlobal global => $"<{global.FullName}>",
        PickleStorageReference storage => $"storage{Show(storage.Id)}",
        PickleObject made => Made(made),
        _ => throw new InvalidOperationException($"a pickle gives no {value.GetType()}"),
    };

    private static string Made(PickleObject made)
    {
        var text = new StringBuilder(Show(made.Global)).Append(Show(made.Arguments));
        _ = made.NamedArguments is { } named ? text.Append('*').Append(Show(named)) : text;
        _ = made.Items.Count > 0 ? text.Append('[').Append(Join(made.Items)).Append(']') : text;
        _ = made.Entries.Count > 0 ? text.Append('{').Append(Join(made.Entries)).Append('}') : text;
        _ = made.State is { } state ? text.Append('/').Append(Show(state)) : text;
        return text.ToString();
    }

    private static string Text(string text)
    {
        var shown = new StringBuilder("\"");
        foreach (var unit in text)
        {
            _ = unit is >= ' ' and < '\x7f' and not ('"' or '\\') ? shown.Append(unit) : shown.Append($"\\u{(int)unit:x4}");
        }

        return shown.Append('"').ToString();
    }

    private static string Join(IEnumerable<object> values) => string.Join(", ", values.Select(Show));

    private static string Join(IEnumerable<KeyValuePair<object, object>> entries) =>
        string.Join(", ", entries.Select(entry => $"{Show(entry.Key)}: {Show(entry.Value)}"));
}
