using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Reads the header of an array, wherever its bytes are: a file, an entry of an archive, an entry that is inflated. Reads no
/// element.
/// </summary>
internal static class NpyHeaderReader
{
    // What NumPy writes for any array of numbers: 128 bytes up to 6 dimensions or so. One read is then enough.
    private const int FirstRead = 256;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>Reads and validates a header.</summary>
    /// <param name="source">Where the bytes are.</param>
    /// <param name="start">Where the array begins in the source.</param>
    /// <param name="length">The size of the array with its header, in bytes; all of it is the array's.</param>
    /// <param name="place">The array, for messages.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="voidType">What bytes without a meaning are, where that is recorded elsewhere; null where it is not.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointException">The array breaks a rule, or is of a type that is not read.</exception>
    public static async ValueTask<NpyHeader> ReadAsync(
        IByteSource source,
        long start,
        long length,
        NpyPlace place,
        NumpyLimits limits,
        DType? voidType,
        CancellationToken cancellationToken)
    {
        var fields = await ReadFieldsAsync(source, start, length, place, limits, cancellationToken).ConfigureAwait(false);
        return Interpret(fields, length, place, voidType);
    }

    /// <summary>Reads the three fields of a header and checks what does not depend on the type of the elements.</summary>
    /// <inheritdoc cref="ReadAsync" path="/param"/>
    /// <exception cref="CheckpointException">The header breaks a rule.</exception>
    public static async ValueTask<NpyFields> ReadFieldsAsync(
        IByteSource source, long start, long length, NpyPlace place, NumpyLimits limits, CancellationToken cancellationToken)
    {
        var first = new byte[(int)Math.Min(FirstRead, length)];
        await source.ReadExactlyAsync(start, first, cancellationToken).ConfigureAwait(false);
        var version = ReadFixedPart(first, length, place, limits, out var begin, out var end);
        var bytes = ArrayPool<byte>.Shared.Rent(end - begin);
        try
        {
            var header = bytes.AsMemory(0, end - begin);
            var known = Math.Min(first.Length, end) - begin;
            first.AsMemory(begin, known).CopyTo(header);
            await source.ReadExactlyAsync(start + begin + known, header[known..], cancellationToken).ConfigureAwait(false);
            return new NpyFields(ParseFields(version, header.Span, begin, place), begin, end);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static int ReadFixedPart(ReadOnlySpan<byte> first, long length, NpyPlace place, NumpyLimits limits, out int begin, out int end)
    {
        if (!first.StartsWith(NumpyConstants.Magic[..Math.Min(first.Length, NumpyConstants.Magic.Length)]))
        {
            var shown = first[..Math.Min(first.Length, NumpyConstants.Magic.Length)];
            throw place.Invalid(
                CheckpointErrorCode.UnknownFormat,
                $"the first bytes are {Convert.ToHexString(shown)}, and a NumPy array begins with {Convert.ToHexString(NumpyConstants.Magic)}.",
                0);
        }

        // Version 1 has a length of two bytes; arrays with very long types needed four.
        var version = first.Length >= NumpyConstants.VersionEnd ? first[NumpyConstants.VersionEnd - 2] : 1;
        var minor = first.Length >= NumpyConstants.VersionEnd ? first[NumpyConstants.VersionEnd - 1] : 0;
        if (version is < 1 or > 3 || minor != 0)
        {
            throw place.Invalid(
                CheckpointErrorCode.UnknownVersion,
                $"the version of the array's header is {version}.{minor}; there are 1.0, 2.0 and 3.0.",
                NumpyConstants.VersionEnd - 2);
        }

        begin = NumpyConstants.VersionEnd + (version == 1 ? sizeof(ushort) : sizeof(uint));
        if (first.Length < begin)
        {
            throw place.Invalid(
                CheckpointErrorCode.HeaderTooSmall,
                $"the array has {length} bytes, too few for the fixed part of its header; it was cut off: fetch it again.",
                0);
        }

        long headerLength = version == 1
            ? BinaryPrimitives.ReadUInt16LittleEndian(first[NumpyConstants.VersionEnd..])
            : BinaryPrimitives.ReadUInt32LittleEndian(first[NumpyConstants.VersionEnd..]);
        if (headerLength > length - begin)
        {
            throw place.Invalid(
                CheckpointErrorCode.HeaderOutOfFile,
                $"the header says it has {headerLength} bytes, and {length - begin} are left; the file was cut off or is damaged: fetch it again.",
                NumpyConstants.VersionEnd);
        }

        if (headerLength > limits.MaximumHeaderBytes)
        {
            throw new CheckpointLimitException(
                $"header length of the array {Quoted.Name(place.Tensor)}",
                headerLength,
                limits.MaximumHeaderBytes,
                $"{nameof(NumpyLimits)}.{nameof(NumpyLimits.MaximumHeaderBytes)}",
                place.Path,
                place.Format,
                CheckpointErrorCode.HeaderTooLarge);
        }

        end = checked(begin + (int)headerLength);
        return version;
    }

    private static Dictionary<string, object?> ParseFields(int version, ReadOnlySpan<byte> bytes, int begin, NpyPlace place)
    {
        var fields = new NpyLiteral(
            Decode(version, bytes, begin, place), place, begin, version < 3 ? Encoding.Latin1 : Encoding.UTF8).ReadDictionary();
        foreach (var key in (ReadOnlySpan<string>)["descr", "fortran_order", "shape"])
        {
            if (!fields.ContainsKey(key))
            {
                throw Field($"the header has no {key}, one of its three keys");
            }
        }

        if (fields.Keys.FirstOrDefault(key => key is not ("descr" or "fortran_order" or "shape")) is { } unknown)
        {
            throw Field($"the header has the key {Quoted.Name(unknown)}; there are only descr, fortran_order and shape");
        }

        return fields["fortran_order"] is bool ? fields : throw Field("the header's fortran_order is neither True nor False");

        InvalidCheckpointException Field(string problem) => place.Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"{problem}.", begin);
    }

    /// <summary>Reads the type of an array's elements.</summary>
    /// <param name="fields">The fields of its header.</param>
    /// <param name="place">The array, for messages.</param>
    /// <exception cref="CheckpointException">It is none, or one that is not read.</exception>
    public static NpyType TypeOf(NpyFields fields, NpyPlace place) => NpyType.Parse(fields.Values["descr"], place, fields.Begin);

    /// <summary>Makes a header of its fields.</summary>
    /// <param name="fields">The fields.</param>
    /// <param name="length">The size of the array with its header, in bytes; all of it is the array's.</param>
    /// <param name="place">The array, for messages.</param>
    /// <param name="voidType">What bytes without a meaning are, where that is recorded elsewhere; null where it is not.</param>
    /// <exception cref="CheckpointException">The array breaks a rule, or is of a type that is not read.</exception>
    public static NpyHeader Interpret(NpyFields fields, long length, NpyPlace place, DType? voidType)
    {
        var shape = ReadShape(fields.Values["shape"], place, fields.Begin);
        var type = TypeOf(fields, place);
        var dtype = type.DType ?? MeaningOf(type, voidType, place, fields.Begin);
        var header = new NpyHeader(type, dtype, fields.Values["fortran_order"] is true, shape, fields.End);
        CheckSize(header, length, place);
        return header;
    }

    private static string Decode(int version, ReadOnlySpan<byte> bytes, int begin, NpyPlace place)
    {
        if (!bytes.IsEmpty && bytes.IndexOfAnyExcept((byte)0) < 0)
        {
            throw place.Invalid(
                CheckpointErrorCode.ZeroFilled,
                "the header is filled with zeros, as an interrupted download leaves it: fetch the file again.",
                begin);
        }

        try
        {
            return version < 3 ? Encoding.Latin1.GetString(bytes) : StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            throw place.Invalid(
                CheckpointErrorCode.HeaderNotUtf8, "the header is not valid UTF-8, as version 3.0 must be.", begin + exception.Index);
        }
    }

    private static Shape ReadShape(object? value, NpyPlace place, int offset)
    {
        if (value is not NpySequence { IsTuple: true } tuple)
        {
            throw Field("the header's shape is no tuple, such as (3, 4) or (3,).");
        }

        if (tuple.Items.Count > NumpyConstants.MaximumRank)
        {
            throw Field($"the shape has {tuple.Items.Count} dimensions; NumPy has at most {NumpyConstants.MaximumRank}.");
        }

        var dimensions = new long[tuple.Items.Count];
        for (var i = 0; i < dimensions.Length; i++)
        {
            dimensions[i] = tuple.Items[i] switch
            {
                long dimension and >= 0 => dimension,
                long negative => throw Field($"dimension {i} of the shape is {negative}; a dimension is never negative."),
                _ => throw Field($"dimension {i} of the shape is no whole number."),
            };
        }

        try
        {
            return new Shape(dimensions);
        }
        catch (OverflowException exception)
        {
            throw Overflow(place, offset, exception);
        }

        InvalidCheckpointException Field(string problem) => place.Invalid(CheckpointErrorCode.HeaderFieldInvalid, problem, offset);
    }

    private static DType MeaningOf(NpyType type, DType? voidType, NpyPlace place, int offset)
    {
        if (voidType is not { } dtype)
        {
            throw place.Unsupported(
                "bytes without a meaning",
                $"its elements are {type.ItemSize} bytes each of which NumPy says no more ({Quoted.Name(type.Text)}): so it saves types of other packages, such as "
                + "bfloat16. Nothing here tells which it was; save it as numbers: numpy.save(path, array.astype(numpy.float32)).");
        }

        return dtype.BlockSize == type.ItemSize
            ? dtype
            : throw place.Invalid(
                CheckpointErrorCode.SizeMismatch,
                $"{NumpyConstants.DTypesEntry} says that it is {dtype.Name}, of {dtype.BlockSize} bytes an element, and its header "
                + $"{Quoted.Name(type.Text)}, of {type.ItemSize}.",
                offset);
    }

    private static void CheckSize(NpyHeader header, long length, NpyPlace place)
    {
        long needed;
        try
        {
            needed = header.DataLength;
        }
        catch (OverflowException exception)
        {
            throw Overflow(place, header.Length, exception);
        }

        var available = length - header.Length;
        if (needed > available)
        {
            throw place.Invalid(
                CheckpointErrorCode.FileTruncated,
                $"{header.DType.Name} {header.Shape} takes {needed} bytes, and {available} are left behind the header; the file was cut off: fetch it again.",
                header.Length);
        }

        if (needed < available)
        {
            throw place.Invalid(
                CheckpointErrorCode.TrailingBytes,
                $"{header.DType.Name} {header.Shape} takes {needed} bytes, and {available} stand behind the header. Several arrays saved into one file are not "
                + "read: save each in its own, or all with numpy.savez.",
                header.Length + needed);
        }
    }

    private static InvalidCheckpointException Overflow(NpyPlace place, long offset, OverflowException exception) => new(
        CheckpointErrorCode.SizeOverflow,
        place.Path,
        "the size that the shape gives does not fit 64 bits.",
        place.Format,
        place.Start + offset,
        place.Tensor,
        exception);
}
