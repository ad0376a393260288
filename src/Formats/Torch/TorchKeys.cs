using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The keys of dictionaries: how they are spelled in names, and which are one key to Python. Not safe for several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="values">Reads numbers and bytes that are records.</param>
/// <param name="findings">Counts the memory.</param>
internal sealed class TorchKeys(TorchRecord records, TorchValues values, TorchFindings findings)
{
    // What an item of a tuple takes here.
    private const int ItemBytes = 40;

    // Longer keys are counted by their length, since hashing and comparing them takes as long; no name of a tensor is.
    private const int LengthThatIsFree = 256;

    /// <summary>
    /// The key as a value that <see cref="TorchKeyComparer"/> finds equal to those that Python does: 1, True and 1.0 are one key,
    /// and tuples are equal where their items are.
    /// </summary>
    public object Comparable(object key, TorchPath path)
    {
        switch (key)
        {
            case string text:
                findings.Charge(Math.Max(0, text.Length - LengthThatIsFree));
                return text;
            case byte[] bytes:
                findings.Charge(Math.Max(0, bytes.Length - LengthThatIsFree));
                return bytes;
            case bool truth:
                return truth ? 1L : 0L;
            case float number:
                return Comparable((double)number, path);
            case double number when double.IsInteger(number):
                return number is >= long.MinValue and < -(double)long.MinValue ? (object)(long)number : new BigInteger(number);
            case Complex { Imaginary: 0 } number:
                return Comparable(number.Real, path);
            case PickleTuple tuple when RuntimeHelpers.TryEnsureSufficientExecutionStack():
                findings.Charge(ItemBytes * (1L + tuple.Items.Length));
                return new TorchList([.. tuple.Items.Select(item => Comparable(item, path))]);
            // A device equals no text, and so on: only what is a number, text or bytes to Python is one here.
            case PickleObject record when records.RoleOf(record.Global) is TorchRole.Scalar or TorchRole.Encode or TorchRole.Bytes or TorchRole.Complex:
                return values.Plain(record, path) is { } plain and not PickleObject ? Comparable(plain, path) : record;
            default:
                return key;
        }
    }

    /// <summary>
    /// The key in a name: integers are decimal, bytes hexadecimal; what else can be a key is spelled so that one sees what it is.
    /// </summary>
    public string Text(object key, TorchPath path)
    {
        switch (key)
        {
            case string text:
                return text;
            case long or BigInteger:
                return Convert.ToString(key, CultureInfo.InvariantCulture)!;
            case double number:
                return number.ToString("R", CultureInfo.InvariantCulture);
            case float number:
                return number.ToString("R", CultureInfo.InvariantCulture);
            case bool truth:
                return truth ? "True" : "False";
            case PickleNone or DBNull:
                return "None";
            case byte[] bytes:
                findings.Charge(4L * bytes.Length);
                return Convert.ToHexString(bytes);
            case PickleGlobal global:
                return global.FullName;
            case PickleTuple tuple when RuntimeHelpers.TryEnsureSufficientExecutionStack():
                return Joined("", tuple.Items, path);
            case PickleSet set when RuntimeHelpers.TryEnsureSufficientExecutionStack():
                return Joined("frozenset", set.Items, path);
            case PickleObject record:
                return Text(record, path);
            default:
                return Convert.ToString(key, CultureInfo.InvariantCulture) is { Length: > 0 } other && key is Complex or IReadOnlyList<object> ? other : "?";
        }
    }

    private string Text(PickleObject record, TorchPath path)
    {
        switch (records.RoleOf(record.Global))
        {
            case TorchRole.Scalar or TorchRole.Encode or TorchRole.Bytes or TorchRole.Complex or TorchRole.Device or TorchRole.ArrayType or TorchRole.Items
                when values.Plain(record, path) is { } plain:
                return Text(plain, path);
            // Such as a member of an enumeration, which its arguments tell from others.
            case TorchRole.Inert when record.Arguments.Items.Length > 0 && RuntimeHelpers.TryEnsureSufficientExecutionStack():
                return Joined(record.Global.FullName, record.Arguments.Items, path);
            default:
                return record.Global.FullName;
        }
    }

    // Counted before it is made; the parts are as long as they are again.
    private string Joined(string before, IReadOnlyList<object> items, TorchPath path)
    {
        findings.Charge(ItemBytes * (1L + items.Count));
        var texts = new string[items.Count];
        for (var i = 0; i < texts.Length; i++)
        {
            texts[i] = Text(items[i], path);
            findings.Charge(sizeof(char) * (2L + texts[i].Length));
        }

        return $"{before}({string.Join(", ", texts)})";
    }
}
