using System.Text;

namespace IlgpuLoader.Formats;

/// <summary>Puts text from a file into a message without letting it write to the terminal by itself.</summary>
public static class Quoted
{
    // A name longer than this is hostile or broken; the beginning tells which.
    private const int LongestShown = 200;

    /// <summary>
    /// The text in single quotes, control characters escaped as <c>\u001b</c>, cut after 200 characters.
    /// </summary>
    public static string Name(string text) => $"'{Escape(text, LongestShown)}'";

    /// <summary>The text with control and direction-changing characters escaped, and otherwise whole.</summary>
    public static string Plain(string text) => Escape(text, int.MaxValue);

    private static string Escape(string text, int longest)
    {
        if (text.Length <= longest && !text.AsSpan().ContainsAnyInRange('\0', '\u001f') && !text.Any(NeedsEscape))
        {
            return text;
        }

        var escaped = new StringBuilder();
        foreach (var character in text.AsSpan(0, Math.Min(text.Length, longest)))
        {
            _ = NeedsEscape(character) ? escaped.Append($"\\u{(int)character:x4}") : escaped.Append(character);
        }

        return text.Length > longest ? escaped.Append('…').ToString() : escaped.ToString();
    }

    // Control characters move the cursor; the bidirectional ones make a name look like another.
    private static bool NeedsEscape(char character) =>
        char.IsControl(character) || char.IsSurrogate(character)
            ? !char.IsSurrogate(character)
            : character is (>= '\u200e' and <= '\u200f') or (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069');
}
