using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Zip;

/// <summary>The ZIP64 field among the extra fields of an entry: what does not fit the 32 bits of its header.</summary>
internal static class ZipExtraField
{
    /// <summary>Fills in what the header leaves to the ZIP64 field.</summary>
    /// <param name="extra">All extra fields of one header.</param>
    /// <param name="numbers">
    /// The header's numbers in the order of the field; each that is all ones is replaced. Only they have a place in the field.
    /// </param>
    /// <returns>Why that cannot be done, as the end of a sentence; null where it was.</returns>
    /// <remarks>A number that is all ones without a field stands for itself: files of 4 GiB less one byte exist.</remarks>
    public static string? Resolve(ReadOnlySpan<byte> extra, Span<long> numbers)
    {
        const int headerBytes = 4;
        while (extra.Length >= headerBytes)
        {
            var id = BinaryPrimitives.ReadUInt16LittleEndian(extra);
            var length = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            extra = extra[headerBytes..];
            if (length > extra.Length)
            {
                // Padding that is no field is what tools for Android leave behind the fields; nothing in it can be meant.
                return id == ZipConstants.Zip64Field ? "the ZIP64 field is longer than the extra fields" : null;
            }

            if (id == ZipConstants.Zip64Field)
            {
                return Fill(extra[..length], numbers);
            }

            extra = extra[length..];
        }

        return null;
    }

    private static string? Fill(ReadOnlySpan<byte> field, Span<long> numbers)
    {
        foreach (ref var number in numbers)
        {
            if (number != ZipConstants.In64Of32)
            {
                continue;
            }

            if (field.Length < sizeof(long))
            {
                return "the ZIP64 field is too short for the numbers that the header leaves to it";
            }

            number = BinaryPrimitives.ReadInt64LittleEndian(field);
            if (number < 0)
            {
                return $"the ZIP64 field has the number {(ulong)number}, which no file reaches";
            }

            field = field[sizeof(long)..];
        }

        return null;
    }
}
