using System.Buffers.Binary;
using System.Text;
using System.Text.RegularExpressions;

namespace IlgpuLoader.TestKit;

/// <summary>
/// An array as NumPy wrote it (<c>.npy</c>, formats.md 4): the expected values of the golden sets. Reads only what those
/// sets hold, and is no reader for files from elsewhere.
/// </summary>
/// <param name="Descriptor">The type as NumPy spells it, such as <c>&lt;f4</c>.</param>
/// <param name="FortranOrder">Whether the first dimension is the fastest.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Data">The bytes of the elements.</param>
public sealed partial record NpyFile(string Descriptor, bool FortranOrder, IReadOnlyList<long> Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>Parses a whole file.</summary>
    public static NpyFile Parse(ReadOnlyMemory<byte> file)
    {
        var bytes = file.Span;
        if (bytes is not [0x93, .. var rest] || !rest.StartsWith("NUMPY"u8))
        {
            throw new FormatException("This is no .npy file.");
        }

        // Version 1 has a length of two bytes, versions 2 and 3 have four.
        var isFirstVersion = bytes[6] == 1;
        var headerAt = isFirstVersion ? 10 : 12;
        var headerLength = isFirstVersion ? BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]) : BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        var header = Encoding.UTF8.GetString(bytes.Slice(headerAt, headerLength));
        var match = Header().Match(header);
        if (!match.Success)
        {
            throw new FormatException($"The header of the .npy file is not one of those that are read here: {header}");
        }

        var shape = match.Groups["shape"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return new NpyFile(
            match.Groups["descr"].Value,
            match.Groups["fortran"].Value == "True",
            [.. shape.Select(long.Parse)],
            file[(headerAt + headerLength)..]);
    }

    /// <summary>Reads one array of a golden set.</summary>
    public static NpyFile Golden(string set, string name) => Parse(GoldenArchive.Read(set, name));

    /// <summary>The elements with the last dimension the fastest, whatever NumPy's order of them was.</summary>
    public byte[] RowMajor()
    {
        var data = Data.ToArray();
        if (!FortranOrder || Shape.Count < 2)
        {
            return data;
        }

        var count = Shape.Aggregate(1L, (product, size) => product * size);
        var size = count == 0 ? 0 : (int)(data.Length / count);
        var turned = new byte[data.Length];
        for (long element = 0; element < count; element++)
        {
            var (rest, at, stride) = (element, 0L, count);
            for (var i = Shape.Count - 1; i >= 0; i--)
            {
                stride /= Shape[i];
                at += rest % Shape[i] * stride;
                rest /= Shape[i];
            }

            data.AsSpan((int)(at * size), size).CopyTo(turned.AsSpan((int)(element * size)));
        }

        return turned;
    }

    [GeneratedRegex(
        @"^\{'descr': '(?<descr>[^']+)', 'fortran_order': (?<fortran>True|False), 'shape': \((?<shape>[0-9, ]*)\), *\}\s*$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Header();
}
