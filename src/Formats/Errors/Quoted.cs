using System.Buffers;
using System.Text;

namespace IlgpuLoader.Formats;

/// <summary>Puts text from a file into a message without letting it write to the terminal by itself.</summary>
public static class Quoted
{
    // A name longer than this is hostile or broken; the beginning tells which.
    private const int LongestShown = 200;

    /// <summary>
    /// The text in single quotes, control characters and halves of surrogate pairs escaped as <c>\u001b</c>, cut after 200 characters.
    /// </summary>
    public static string Name(string text) => $"'{Escape(text, LongestShown)}'";

    /// <summary>The text with control and direction-changing characters escaped, and otherwise whole.</summary>
    public static string Plain(string text) => Escape(text, int.MaxValue);

    private static string Escape(string text, int longest)
    {
        if (text.Length <= longest && !text.Any(character => char.IsSurrogate(character) || NeedsEscape(character)))
        {
            return text;
        }

        var escaped = new StringBuilder();
        var rest = text.AsSpan();
        while (!rest.IsEmpty)
        {
            // Half of a surrogate pair is no character, and a cut must not make one.
            var isCharacter = Rune.DecodeFromUtf16(rest, out _, out var length) == OperationStatus.Done;
            if (text.Length - rest.Length + length > longest)
            {
                return escaped.Append('…').ToString();
            }

            _ = !isCharacter || NeedsEscape(rest[0]) ? escaped.Append($"\\u{(int)rest[0]:x4}") : escaped.Append(rest[..length]);
            rest = rest[length..];
        }

        return escaped.ToString();
    }

    // Control characters and separators move the cursor; the bidirectional ones make a name look like another.
    private static bool NeedsEscape(char character) =>
        char.IsControl(character)
        || character is '\u061c' or (>= '\u200e' and <= '\u200f') or (>= '\u2028' and <= '\u202e') or (>= '\u2066' and <= '\u2069');
}
