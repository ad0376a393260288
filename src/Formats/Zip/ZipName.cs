using System.Text;

namespace IlgpuLoader.Formats.Zip;

/// <summary>Names of zip entries: how their bytes are read, and which are refused.</summary>
internal static class ZipName
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // The code page of the first PC, which the format means where no flag says UTF-8; below 0x80 it is ASCII.
    private const string UpperHalfOf437 =
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

    /// <summary>Reads a name; null where it is marked as UTF-8 and is not.</summary>
    public static string? Decode(ReadOnlySpan<byte> bytes, bool isUtf8)
    {
        if (!isUtf8 && bytes.ContainsAnyInRange<byte>(0x80, 0xff))
        {
            var name = new StringBuilder(bytes.Length);
            foreach (var value in bytes)
            {
                name.Append(value < 0x80 ? (char)value : UpperHalfOf437[value - 0x80]);
            }

            return name.ToString();
        }

        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>Why a name is refused, as the end of a sentence; null where it is a path inside the archive.</summary>
    /// <remarks>Nothing is extracted here, but names become those of tensors, and others make paths of those.</remarks>
    public static string? Objection(string name) =>
        name.Length == 0 ? "is empty"
        : name.Contains('\\', StringComparison.Ordinal) ? "has a backslash"
        : name.Contains('\0', StringComparison.Ordinal) ? "has a NUL character"
        : name[0] == '/' || (name.Length > 1 && name[1] == ':' && char.IsAsciiLetter(name[0])) ? "is an absolute path"
        : HasParent(name) ? "leads out of the archive"
        : null;

    private static bool HasParent(ReadOnlySpan<char> name)
    {
        foreach (var part in name.Split('/'))
        {
            if (name[part] is "..")
            {
                return true;
            }
        }

        return false;
    }
}
