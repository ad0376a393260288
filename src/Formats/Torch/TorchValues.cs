using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Turns the values of a pickle that hold no tensors into those of the metadata: <see cref="bool"/>, <see cref="long"/>,
/// <see cref="BigInteger"/>, <see cref="float"/> and <see cref="double"/>, <see cref="Complex"/>, <see cref="string"/>, an
/// array of bytes, <see cref="DBNull"/> for None, and a <see cref="TorchList"/> of these. Not safe for several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="findings">Counts the memory.</param>
internal sealed class TorchValues(TorchRecord records, TorchFindings findings)
{
    // What a value and its place in a list take.
    private const int ItemBytes = 32;

    // What remembering a record's value takes, and the header of what is made.
    private const int MemoBytes = 64, HeaderBytes = 24;

    // What records have turned out to be. A pickle may name one of megabytes a thousand times: the same record gives the same
    // value, which is then made, and counted, once.
    private readonly Dictionary<PickleObject, object?> _known = new(ReferenceEqualityComparer.Instance);

    // The same of texts that are bytes, and of the types of arrays.
    private readonly Dictionary<string, byte[]> _bytesOfText = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<object, NumpyType> _types = new(ReferenceEqualityComparer.Instance);

    private readonly TorchSearch _objects = new(value => NumpyType.IsOfObjects(value, records), findings);

    // Containers that are known to hold more than plain values: nested ones would be gone through at every level.
    private readonly HashSet<object> _notPlain = new(ReferenceEqualityComparer.Instance);

    /// <summary>The value for the metadata; null where it holds a tensor, a dict or a record.</summary>
    /// <param name="value">A value of the pickle.</param>
    /// <param name="path">Where it is, for messages.</param>
    public object? Plain(object value, TorchPath path)
    {
        switch (value)
        {
            case bool or long or double or BigInteger or string or byte[]:
                return value;
            case PickleNone:
                return DBNull.Value;
            case PickleGlobal global:
                return global.FullName;
            case PickleTuple tuple:
                return List(tuple, tuple.Items, path);
            case PickleList list:
                return List(list, list.Items, path);
            case PickleSet set:
                return List(set, set.Items, path);
            case PickleObject { State: null, ItemList: null, EntryList: null } record:
                return Known(record, path);
            case PickleObject record when records.RoleOf(record.Global) == TorchRole.ArrayType:
                return TypeOf(record, path).Text;
            default:
                return null;
        }
    }

    /// <summary>A dtype of NumPy.</summary>
    /// <exception cref="InvalidCheckpointException">It is none.</exception>
    public NumpyType TypeOf(object value, TorchPath path)
    {
        if (!_types.TryGetValue(value, out var type))
        {
            var length = value is PickleObject { Arguments.Items: [string code, ..] } ? code.Length : 0;
            findings.Charge(MemoBytes + HeaderBytes + (sizeof(char) * (1L + length)));
            _types.Add(value, type = NumpyType.Parse(value, records, path));
        }

        return type;
    }

    /// <summary>Refuses an array or number of NumPy that is, or has fields that are, Python objects.</summary>
    /// <param name="record">The array or number.</param>
    /// <param name="type">Its dtype.</param>
    /// <param name="path">Where it is, for the message.</param>
    /// <exception cref="UnsafePickleException">It has such.</exception>
    public void RefuseObjects(PickleObject record, object type, TorchPath path)
    {
        if (_objects.Holds(type))
        {
            throw records.Unsafe(
                record,
                $"the pickle has an array of NumPy with Python objects in it, {Quoted.Name(path.Name)}: objects are whatever their pickle makes of them, and are refused. "
                + "Nothing of the file was executed. Save the array as numbers");
        }
    }

    /// <summary>Bytes in any of the forms that protocols have for them; null where it is something else.</summary>
    public byte[]? Bytes(object value, TorchPath path) => value switch
    {
        byte[] bytes => bytes,
        // What Python 2 wrote as a string and the stack machine took for text, since it happens to be UTF-8.
        string text => Utf8Once(text),
        PickleObject record when records.RoleOf(record.Global) is TorchRole.Encode or TorchRole.Bytes => Known(record, path) as byte[],
        _ => null,
    };

    private byte[] Utf8Once(string text)
    {
        if (!_bytesOfText.TryGetValue(text, out var bytes))
        {
            findings.Charge(MemoBytes);
            _bytesOfText.Add(text, bytes = Utf8(text));
        }

        return bytes;
    }

    private byte[] Utf8(string text)
    {
        findings.Charge(HeaderBytes + (long)Encoding.UTF8.GetByteCount(text));
        return Encoding.UTF8.GetBytes(text);
    }

    private object? Known(PickleObject record, TorchPath path)
    {
        if (!_known.TryGetValue(record, out var value))
        {
            if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            {
                return null;
            }

            findings.Charge(MemoBytes);
            value = Make(record, path);
            _known[record] = value;
        }

        return value;
    }

    // Deeper than the stack, a list is not plain: its items are walked one by one.
    private TorchList? List(object container, IReadOnlyList<object> items, TorchPath path)
    {
        if (_notPlain.Contains(container) || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            return null;
        }

        // Before its items: a list may hold itself.
        _ = _notPlain.Add(container);
        findings.Charge(ItemBytes * (1L + items.Count));
        var values = new object[items.Count];
        for (var i = 0; i < values.Length; i++)
        {
            if (Plain(items[i], path) is not { } plain)
            {
                return null;
            }

            values[i] = plain;
        }

        _ = _notPlain.Remove(container);
        return new TorchList(values);
    }

    private object? Make(PickleObject record, TorchPath path)
    {
        var (global, arguments) = (record.Global, record.Arguments.Items);
        switch (records.RoleOf(global))
        {
            case TorchRole.Items:
                return arguments.Length == 0 ? new TorchList() : arguments is [var items] ? Plain(items, path) as TorchList : null;
            case TorchRole.Tagged or TorchRole.Layout when arguments.Length > 0:
                return Plain(arguments[0], path);
            case TorchRole.Device:
                return arguments switch
                {
                    [string type] => type,
                    [string type, long index] => Numbered(type, index),
                    _ => throw records.Invalid(path, "a device is neither a name nor a name and a number"),
                };
            case TorchRole.Complex:
                return arguments switch
                {
                    [double real, double imaginary] => new Complex(real, imaginary),
                    _ => throw records.Invalid(path, "a complex number is no two floats"),
                };
            case TorchRole.Encode or TorchRole.Bytes:
                return Encoded(arguments, path);
            case TorchRole.Scalar:
                return Scalar(record, path);
            case TorchRole.ArrayType:
                return TypeOf(record, path).Text;
            default:
                return null;
        }
    }

    private string Numbered(string type, long index)
    {
        // The digits of a long, its sign and the colon.
        findings.Charge(HeaderBytes + (sizeof(char) * (21L + type.Length)));
        return $"{type}:{index}";
    }

    private byte[] Encoded(object[] arguments, TorchPath path) => arguments switch
    {
        [] => [],
        [byte[] bytes] => bytes,
        [string text, "latin1" or "latin-1" or "iso-8859-1"] => Latin1(text) ?? throw records.Invalid(path, "bytes are written as characters beyond Latin-1"),
        [string text, "utf-8" or "utf8" or "ascii"] => Utf8(text),
        [PickleObject inner] when Bytes(inner, path) is { } bytes => bytes,
        _ => throw records.Invalid(path, "bytes are written in a way that is not known"),
    };

    private object Scalar(PickleObject record, TorchPath path)
    {
        var given = records.Argument(record.Global, record.Arguments, 0, path);
        RefuseObjects(record, given, path);
        var type = TypeOf(given, path);
        if (Bytes(records.Argument(record.Global, record.Arguments, 1, path), path) is not { } bytes)
        {
            throw records.Invalid(path, "a number of NumPy has no bytes");
        }

        if (type.Type is null)
        {
            // As text: once as it is, and once without what fills it up.
            findings.Charge(2L * (HeaderBytes + bytes.Length));
        }

        return type.Scalar(bytes) ?? throw records.Invalid(path, $"a number of NumPy's type {Quoted.Name(type.Text)} has {bytes.Length} bytes", CheckpointErrorCode.SizeMismatch);
    }

    private byte[]? Latin1(string text)
    {
        if (text.AsSpan().ContainsAnyExceptInRange('\0', '\u00ff'))
        {
            return null;
        }

        findings.Charge(HeaderBytes + (long)text.Length);
        return Encoding.Latin1.GetBytes(text);
    }
}
