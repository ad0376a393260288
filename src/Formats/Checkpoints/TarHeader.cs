using System.Text;

namespace IlgpuLoader.Formats;

/// <summary>
/// Recognises tar archives as Python's <c>tarfile</c> does: by the checksum of the first header, without the word that only newer
/// ones have. <c>torch.load</c> tries a tar archive before anything else but a zip archive, and its members are pickles that run
/// code (CVE-2025-32434): what is a tar archive to it must not be a stream, an array or a safetensors file to us.
/// </summary>
internal static class TarHeader
{
    private const int HeaderBytes = 512;
    private const int ChecksumOffset = 148;
    private const int ChecksumBytes = 8;

    // The checksum is computed as if its own field were blanks.
    private const int Blanks = ChecksumBytes * ' ';

    /// <summary>Whether the first bytes of a file are the header of a tar archive.</summary>
    /// <param name="head">The first bytes, as many as the file has, up to 512 or more.</param>
    public static bool Matches(ReadOnlySpan<byte> head)
    {
        if (head.Length < HeaderBytes || ReadNumber(head.Slice(ChecksumOffset, ChecksumBytes)) is not { } expected)
        {
            return false;
        }

        // Some old writers summed signed bytes; tarfile accepts either.
        var (unsigned, signed) = (Blanks, Blanks);
        for (var i = 0; i < HeaderBytes; i++)
        {
            if (i is < ChecksumOffset or >= ChecksumOffset + ChecksumBytes)
            {
                unsigned += head[i];
                signed += (sbyte)head[i];
            }
        }

        return expected == unsigned || expected == signed;
    }

    // Octal digits up to a NUL, as Python's int(text, 8) takes them; or a binary number behind a byte of 0x80, or of 0xFF for a
    // negative one (GNU tar).
    private static long? ReadNumber(ReadOnlySpan<byte> field)
    {
        if (field[0] is 0x80 or 0xFF)
        {
            long number = field[0] == 0xFF ? -1 : 0;
            foreach (var part in field[1..])
            {
                number = (number << 8) | part;
            }

            return number;
        }

        var end = field.IndexOf((byte)0);
        var text = Encoding.Latin1.GetString(end < 0 ? field : field[..end]).Trim().Replace("_", "", StringComparison.Ordinal);
        var sign = text is ['-', ..] ? -1 : 1;
        var digits = text.AsSpan(text is ['-' or '+', ..] ? 1 : 0);
        digits = digits is ['0', 'o' or 'O', ..] ? digits[2..] : digits;
        long value = 0;
        foreach (var digit in digits)
        {
            if (digit is < '0' or > '7')
            {
                return null;
            }

            value = (value * 8) + (digit - '0');
        }

        return sign * value;
    }
}
