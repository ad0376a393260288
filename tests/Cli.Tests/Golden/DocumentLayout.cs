using System.Text;
using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>
/// A document over several lines: one a member of what holds objects, so that a change is seen where it is. Nothing but line
/// breaks and indentation is added, which taken away again leave the line that the tool wrote.
/// </summary>
internal static class DocumentLayout
{
    /// <summary>Spreads one line of JSON over several.</summary>
    public static string Spread(string line)
    {
        using var document = JsonDocument.Parse(line);
        var text = new StringBuilder();
        Write(text, document.RootElement, "", isRoot: true);
        var lines = text.Append('\n').ToString();
        Assert.Equal(line, string.Concat(lines.Split('\n').Select(part => part.TrimStart(' '))) + "\n");
        return lines;
    }

    private static void Write(StringBuilder text, JsonElement element, string indent, bool isRoot = false)
    {
        if (!isRoot && !HoldsObjects(element))
        {
            text.Append(element.GetRawText());
            return;
        }

        var isObject = element.ValueKind == JsonValueKind.Object;
        var next = indent + "  ";
        var separator = "";
        text.Append(isObject ? '{' : '[');
        foreach (var (name, value) in Members(element))
        {
            text.Append(separator).Append('\n').Append(next).Append(name);
            Write(text, value, next);
            separator = ",";
        }

        text.Append('\n').Append(indent).Append(isObject ? '}' : ']');
    }

    // What ToString of a property writes is its name as it is spelt, a colon and its value.
    private static IEnumerable<(string Name, JsonElement Value)> Members(JsonElement element) =>
        element.ValueKind == JsonValueKind.Object
            ? element.EnumerateObject().Select(member => (member.ToString()[..^member.Value.GetRawText().Length], member.Value))
            : element.EnumerateArray().Select(member => ("", member));

    private static bool HoldsObjects(JsonElement element) =>
        element.ValueKind is JsonValueKind.Object or JsonValueKind.Array
        && Members(element).Any(member => member.Value.ValueKind == JsonValueKind.Object || HoldsObjects(member.Value));
}
