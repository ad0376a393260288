using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.Loading;

/// <summary>
/// The names of files for tensors: a tensor's own name where it can be one on every disk, as vLLM's cache has it, else one that
/// no other tensor gets. A name never leads out of the folder, whatever it says.
/// </summary>
internal sealed class CachedName
{
    // The most bytes of a name are 255 on all common disks, and a file that is being written has more behind its own.
    private const int LongestBytes = 200;

    // 64 bits: two names of a checkpoint that agree in them are not met by accident, and are told apart all the same.
    private const int HashBytes = 8;

    // What Windows keeps for devices, with any ending.
    private static readonly HashSet<string> Devices = new(StringComparer.OrdinalIgnoreCase)
    {
        "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
        "COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
        "LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
    };

    // Disks of Windows and macOS do not tell upper case from lower.
    private readonly HashSet<string> _taken;

    /// <summary>Begins with no names taken but those of the folder's other files.</summary>
    public CachedName(params IEnumerable<string> others) => _taken = new(others, StringComparer.OrdinalIgnoreCase);

    /// <summary>The name of the file of the next tensor.</summary>
    /// <param name="tensor">The tensor's name.</param>
    public string Next(string tensor)
    {
        var name = Escape(tensor);
        if (Encoding.UTF8.GetByteCount(name) > LongestBytes || !_taken.Add(name))
        {
            // The percent sign of a plain name is always escaped, so that none of them looks like this.
            var hash = SHA256.HashData(Encoding.Unicode.GetBytes(tensor));
            var ending = "%~" + Convert.ToHexStringLower(hash.AsSpan(0, HashBytes));
            var beginning = Cut(name, LongestBytes - ending.Length);
            for (name = beginning + ending; !_taken.Add(name); name += "~")
            {
            }
        }

        return name;
    }

    private static string Escape(string tensor)
    {
        var name = new StringBuilder(tensor.Length);
        for (var rest = tensor.AsSpan(); !rest.IsEmpty;)
        {
            var isWhole = Rune.DecodeFromUtf16(rest, out var rune, out var length) == OperationStatus.Done;
            var position = tensor.Length - rest.Length;
            // Windows drops dots and spaces at the end, and dots at the beginning hide a file, or lead up.
            var isEdge = rune.Value is '.' or ' ' && (position == 0 || position == tensor.Length - 1);
            if (!isWhole)
            {
                name.Append(CultureInfo.InvariantCulture, $"%u{(int)rest[0]:X4}");
            }
            else if (isEdge || Rune.IsControl(rune) || rune.Value is '/' or '\\' or ':' or '*' or '?' or '"' or '<' or '>' or '|' or '%')
            {
                name.Append(CultureInfo.InvariantCulture, $"%{rune.Value:X2}");
            }
            else
            {
                name.Append(rest[..length]);
            }

            rest = rest[length..];
        }

        var text = name.ToString();
        var stem = text.AsSpan(0, text.IndexOf('.', StringComparison.Ordinal) is >= 0 and var dot ? dot : text.Length);
        return text.Length == 0 ? "%"
            : Devices.GetAlternateLookup<ReadOnlySpan<char>>().Contains(stem.TrimEnd(' ')) ? string.Create(CultureInfo.InvariantCulture, $"%{(int)text[0]:X2}{text[1..]}")
            : text;
    }

    private static string Cut(string name, int bytes)
    {
        var taken = 0;
        var end = 0;
        foreach (var rune in name.EnumerateRunes())
        {
            if (taken + rune.Utf8SequenceLength > bytes)
            {
                break;
            }

            taken += rune.Utf8SequenceLength;
            end += rune.Utf16SequenceLength;
        }

        return name[..end];
    }
}
