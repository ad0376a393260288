using System.Globalization;
using System.Text.RegularExpressions;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>The type of an array's elements, as its header spells it: byte order, kind and size, such as <c>&lt;f4</c>.</summary>
/// <param name="Text">The spelling.</param>
/// <param name="Kind">The letter: <c>f</c> for floats, <c>V</c> for bytes without a meaning.</param>
/// <param name="ItemSize">The size of an element in bytes.</param>
/// <param name="IsBigEndian">Whether numbers have their most significant byte first.</param>
internal readonly partial record struct NpyType(string Text, char Kind, int ItemSize, bool IsBigEndian)
{
    /// <summary>The type here; null for those that need to be told apart by more than NumPy says (<see cref="IsVoid"/>).</summary>
    public DType? DType => (Kind, ItemSize) switch
    {
        ('b', 1) => Formats.DType.BOOL,
        ('i', 1) => Formats.DType.I8,
        ('u', 1) => Formats.DType.U8,
        ('i', 2) => Formats.DType.I16,
        ('u', 2) => Formats.DType.U16,
        ('i', 4) => Formats.DType.I32,
        ('u', 4) => Formats.DType.U32,
        ('i', 8) => Formats.DType.I64,
        ('u', 8) => Formats.DType.U64,
        ('f', 2) => Formats.DType.F16,
        ('f', 4) => Formats.DType.F32,
        ('f', 8) => Formats.DType.F64,
        ('c', 8) => Formats.DType.C64,
        ('c', 16) => Formats.DType.C128,
        _ => null,
    };

    /// <summary>
    /// Whether these are bytes of which NumPy knows only the number: so it saves the types of others, such as bfloat16.
    /// </summary>
    public bool IsVoid => Kind == 'V';

    /// <summary>The spelling of a type in a header that is written.</summary>
    /// <param name="dtype">A type of whole bytes that is no block.</param>
    public static string Spell(DType dtype) => dtype switch
    {
        Formats.DType.BOOL => "|b1",
        Formats.DType.I8 => "|i1",
        Formats.DType.U8 => "|u1",
        Formats.DType.I16 => "<i2",
        Formats.DType.U16 => "<u2",
        Formats.DType.I32 => "<i4",
        Formats.DType.U32 => "<u4",
        Formats.DType.I64 => "<i8",
        Formats.DType.U64 => "<u8",
        Formats.DType.F16 => "<f2",
        Formats.DType.F32 => "<f4",
        Formats.DType.F64 => "<f8",
        Formats.DType.C64 => "<c8",
        Formats.DType.C128 => "<c16",
        // As NumPy writes arrays of ml_dtypes' types.
        { BlockSize: 1 } => "|V1",
        _ => string.Create(CultureInfo.InvariantCulture, $"<V{dtype.BlockSize}"),
    };

    /// <summary>Whether NumPy has the type; else its elements are saved as bytes without a meaning.</summary>
    public static bool IsKnown(DType dtype) => Spell(dtype)[1] != 'V';

    /// <summary>Whether elements of the type can be an array at all: they are whole bytes each, and no blocks.</summary>
    public static bool CanHold(DType dtype) => dtype is { BlockLength: 1, IsBlock: false };

    /// <summary>Reads a type.</summary>
    /// <param name="descriptor">What stands under <c>descr</c>.</param>
    /// <param name="place">Where.</param>
    /// <param name="offset">Where the header begins, in bytes from the start of the array.</param>
    /// <exception cref="InvalidCheckpointException">It is no type.</exception>
    /// <exception cref="UnsupportedCheckpointException">It is one that is not read.</exception>
    public static NpyType Parse(object? descriptor, NpyPlace place, int offset)
    {
        if (descriptor is NpySequence)
        {
            throw place.Unsupported(
                "structured arrays",
                "its elements are records of several fields (a structured dtype), and a tensor has one type; save each field as an array of its own: "
                + "numpy.save(path, array['field']).");
        }

        if (descriptor is not string text)
        {
            throw place.Invalid(CheckpointErrorCode.HeaderFieldInvalid, "the header's 'descr' is neither a string nor a list.", offset);
        }

        var rest = text.AsSpan();
        var order = rest is ['<' or '>' or '=' or '|', ..] ? rest[0] : '=';
        rest = rest is ['<' or '>' or '=' or '|', ..] ? rest[1..] : rest;
        if (rest is "?")
        {
            rest = "b1";
        }

        if (rest is ['O', ..])
        {
            throw place.Unsupported(
                "arrays of Python objects",
                $"its elements are Python objects ({Quoted.Name(text)}): behind the header stands a pickle, which can run any code when Python loads it, "
                + "and which is not looked at here. Save an array of numbers: numpy.save(path, array.astype(numpy.float32)).");
        }

        var (kind, size) = (rest.IsEmpty ? '\0' : rest[0], 0);
        // Dates have their unit in brackets behind the size, or no size at all.
        var digits = rest.IsEmpty ? rest : rest[1..];
        var bracket = digits.IndexOf('[');
        digits = kind is 'M' or 'm' && bracket >= 0 ? digits[..bracket] : digits;
        var hasSize = !digits.IsEmpty && !digits.ContainsAnyExceptInRange('0', '9')
            && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out size);
        var type = new NpyType(text, kind, size, order == '>');
        if (hasSize && (type.IsVoid || type.DType is not null))
        {
            return type;
        }

        if (Refusal(kind, size) is { } refusal)
        {
            throw place.Unsupported(refusal, $"its elements are {refusal} ({Quoted.Name(text)}), and only numbers and truth values are read; convert it with NumPy's astype.");
        }

        throw place.Invalid(
            CheckpointErrorCode.UnknownDType,
            $"the dtype {Quoted.Name(text)} is none that NumPy has for numbers; expected one such as '<f4', '<i8' or '|b1'.",
            offset);
    }

    /// <summary>Whether an array of this type holds Python objects, and so a pickle: its own type, one of its fields, or what is nested in one.</summary>
    /// <remarks>
    /// What NumPy calls <c>dtype.hasobject</c>. It reads many more spellings than it writes (<c>object_</c>, <c>i4,O</c>, <c>(1,)O</c>): what is neither a plain type,
    /// nor a type with a shape, nor a list of fields counts as one that does.
    /// </remarks>
    public static bool HoldsObjects(object? descriptor) => descriptor switch
    {
        string text => !Plain.IsMatch(text),
        NpySequence { IsTuple: true, Items: [var inner, var shape] } when IsShape(shape) => HoldsObjects(inner),
        NpySequence { IsTuple: false } fields => fields.Items.Any(field => field is not NpySequence { Items: [_, var inner, ..] items }
            || HoldsObjects(inner) || !items.Skip(2).All(IsShape)),
        _ => true,
    };

    // What stands there in place of a shape is another type to NumPy, which the first is taken for.
    private static bool IsShape(object? shape) => shape is long || (shape is NpySequence { IsTuple: true } sizes && sizes.Items.All(size => size is long));

    private static string? Refusal(char kind, int size) => (kind, size) switch
    {
        ('S' or 'a' or 'U' or 'T', _) => "strings",
        ('M', _) => "dates",
        ('m', _) => "spans of time",
        ('f', 10 or 12 or 16) or ('g', _) => "floats of more than 64 bits (long double), which mean something else on every machine",
        ('c', 20 or 24 or 32) or ('G', _) => "complex numbers of more than 64 bits a part (long double), which mean something else on every machine",
        _ => null,
    };

    [GeneratedRegex(@"\A[<>=|]?[biufcSUVmM?][0-9]*(\[[^\]]*\])?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Plain { get; }
}
