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
            case PickleObject { State: null, Items.Count: 0, Entries.Count: 0 } record:
                return Plain(record, path);
            case PickleObject record when records.RoleOf(record.Global) == TorchRole.ArrayType:
                return NumpyType.Parse(record, records, path).Text;
            default:
                return null;
        }
    }

    /// <summary>Bytes in any of the forms that protocols have for them; null where it is something else.</summary>
    public byte[]? Bytes(object value, TorchPath path) => value switch
    {
        byte[] bytes => bytes,
        // What Python 2 wrote as a string and the stack machine took for text, since it happens to be UTF-8.
        string text => Encoding.UTF8.GetBytes(text),
        PickleObject record when records.RoleOf(record.Global) is TorchRole.Encode or TorchRole.Bytes => Plain(record, path) as byte[],
        _ => null,
    };

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

    private object? Plain(PickleObject record, TorchPath path)
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
                    [string type, long index] => $"{type}:{index}",
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
                return NumpyType.Parse(record, records, path).Text;
            default:
                return null;
        }
    }

    private byte[] Encoded(object[] arguments, TorchPath path) => arguments switch
    {
        [] => [],
        [byte[] bytes] => bytes,
        [string text, "latin1" or "latin-1" or "iso-8859-1"] => Latin1(text) ?? throw records.Invalid(path, "bytes are written as characters beyond Latin-1"),
        [string text, "utf-8" or "utf8" or "ascii"] => Encoding.UTF8.GetBytes(text),
        [PickleObject inner] when records.RoleOf(inner.Global) is TorchRole.Encode or TorchRole.Bytes => Encoded(inner.Arguments.Items, path),
        _ => throw records.Invalid(path, "bytes are written in a way that is not known"),
    };

    private object Scalar(PickleObject record, TorchPath path)
    {
        var type = NumpyType.Parse(records.Argument(record.Global, record.Arguments, 0, path), records, path);
        if (Bytes(records.Argument(record.Global, record.Arguments, 1, path), path) is not { } bytes)
        {
            throw records.Invalid(path, "a number of NumPy has no bytes");
        }

        return type.Scalar(bytes) ?? throw records.Invalid(path, $"a number of NumPy's type {Quoted.Name(type.Text)} has {bytes.Length} bytes", CheckpointErrorCode.SizeMismatch);
    }

    private static byte[]? Latin1(string text)
    {
        if (text.AsSpan().ContainsAnyExceptInRange('\0', '\u00ff'))
        {
            return null;
        }

        return Encoding.Latin1.GetBytes(text);
    }
}
