using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>Makes the header of an array, byte for byte as <c>numpy.save</c> does (1.24 and later).</summary>
internal static class NpyHeaderWriter
{
    // The digits of the largest 64-bit number and a sign: NumPy leaves room for them, so that the first dimension can grow in
    // place (numpy/lib/format.py, GROWTH_AXIS_MAX_DIGITS).
    private const int GrowthDigits = 21;

    /// <summary>Makes a header of version 1.0.</summary>
    /// <param name="dtype">The type; one that NumPy lacks becomes bytes of its size.</param>
    /// <param name="shape">The dimensions, at most 64: longer headers than a version 1.0 can have do not come up.</param>
    /// <returns>Everything that stands before the data, which is in row-major order.</returns>
    /// <exception cref="ArgumentException">No array can hold the type, or the shape has too many dimensions.</exception>
    public static byte[] Make(DType dtype, Shape shape)
    {
        if (!NpyType.CanHold(dtype) || shape.Rank > NumpyConstants.MaximumRank)
        {
            throw new ArgumentException($"{dtype.Name} {shape} cannot be a NumPy array.", nameof(dtype));
        }

        var text = new StringBuilder($"{{'descr': '{NpyType.Spell(dtype)}', 'fortran_order': False, 'shape': (");
        text.AppendJoin(", ", shape.Select(dimension => dimension.ToString(CultureInfo.InvariantCulture)));
        // A tuple of one needs a comma to be one.
        text.Append(shape.Rank == 1 ? ",), }" : "), }");
        if (shape.Rank > 0)
        {
            text.Append(' ', GrowthDigits - shape[0].ToString(CultureInfo.InvariantCulture).Length);
        }

        const int begin = NumpyConstants.VersionEnd + sizeof(ushort);
        var padding = -(begin + text.Length + 1) & (NumpyConstants.Alignment - 1);
        text.Append(' ', padding).Append('\n');
        var header = new byte[begin + text.Length];
        NumpyConstants.Magic.CopyTo(header);
        header[NumpyConstants.VersionEnd - 2] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(NumpyConstants.VersionEnd), checked((ushort)text.Length));
        Encoding.Latin1.GetBytes(text.ToString(), header.AsSpan(begin));
        return header;
    }
}
