using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace IlgpuLoader.TestKit;

/// <summary>
/// Writes pickles of protocol 2 from the meaning of the opcodes (Python's pickletools), without the code under test: every
/// method gives the bytes that leave one value on the stack, and values are put together from them.
/// </summary>
public static class PickleBytes
{
    /// <summary>None.</summary>
    public static byte[] None => "N"u8.ToArray();

    /// <summary>True or False.</summary>
    public static byte[] Truth(bool value) => [value ? (byte)0x88 : (byte)0x89];

    /// <summary>A text (BINUNICODE).</summary>
    public static byte[] Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return [(byte)'X', .. Little(bytes.Length), .. bytes];
    }

    /// <summary>An integer of any size (LONG1).</summary>
    public static byte[] Whole(BigInteger value)
    {
        var bytes = value.ToByteArray();
        return [0x8a, (byte)bytes.Length, .. bytes];
    }

    /// <summary>A float (BINFLOAT), highest byte first.</summary>
    public static byte[] Real(double value)
    {
        var bytes = new byte[9];
        bytes[0] = (byte)'G';
        BinaryPrimitives.WriteDoubleBigEndian(bytes.AsSpan(1), value);
        return bytes;
    }

    /// <summary>Bytes (BINBYTES, of protocol 3).</summary>
    public static byte[] Bytes(params ReadOnlySpan<byte> bytes) => [(byte)'B', .. Little(bytes.Length), .. bytes];

    /// <summary>A class, function or constant (GLOBAL).</summary>
    public static byte[] Global(string module, string name) => Encoding.UTF8.GetBytes($"c{module}\n{name}\n");

    /// <summary>A tuple.</summary>
    public static byte[] Tuple(params byte[][] items) => [(byte)'(', .. items.SelectMany(item => item), (byte)'t'];

    /// <summary>A tuple of integers.</summary>
    public static byte[] Numbers(params ReadOnlySpan<long> numbers) => Tuple([.. numbers.ToArray().Select(number => Whole(number))]);

    /// <summary>A list.</summary>
    public static byte[] List(params byte[][] items) => [(byte)']', (byte)'(', .. items.SelectMany(item => item), (byte)'e'];

    /// <summary>A dict of texts to values.</summary>
    public static byte[] Dictionary(params (string Key, byte[] Value)[] entries) => Entries([(byte)'}'], entries.Select(entry => (Text(entry.Key), entry.Value)));

    /// <summary>A dict of any keys.</summary>
    public static byte[] Dictionary(IEnumerable<(byte[] Key, byte[] Value)> entries) => Entries([(byte)'}'], entries);

    /// <summary>An OrderedDict, with attributes where they are given.</summary>
    public static byte[] Ordered(byte[]? attributes, params (string Key, byte[] Value)[] entries)
    {
        var made = Entries(Call("collections", "OrderedDict"), entries.Select(entry => (Text(entry.Key), entry.Value)));
        return attributes is null ? made : [.. made, .. attributes, (byte)'b'];
    }

    /// <summary>A call (REDUCE).</summary>
    public static byte[] Call(string module, string name, params byte[][] arguments) => [.. Global(module, name), .. Tuple(arguments), (byte)'R'];

    /// <summary>An object of a class with a state (NEWOBJ, BUILD).</summary>
    public static byte[] Instance(string module, string name, byte[] state) => [.. Global(module, name), (byte)')', 0x81, .. state, (byte)'b'];

    /// <summary>A value that is remembered under a number (BINPUT).</summary>
    public static byte[] Put(byte[] value, byte number) => [.. value, (byte)'q', number];

    /// <summary>What is remembered under a number (BINGET).</summary>
    public static byte[] Get(byte number) => [(byte)'h', number];

    /// <summary>A storage of an archive; with a sixth item, of a stream before 1.6.</summary>
    public static byte[] Storage(string type, string key, BigInteger count, byte[]? view = null) => Reference(
        [Text("storage"), Global("torch", type), Text(key), Text("cpu"), Whole(count), .. view is null ? Array.Empty<byte[]>() : [view]]);

    /// <summary>Something kept beside the pickle (BINPERSID).</summary>
    public static byte[] Reference(params byte[][] items) => [.. Tuple(items), (byte)'Q'];

    /// <summary>A tensor over a storage (<c>_rebuild_tensor_v2</c>).</summary>
    public static byte[] Tensor(byte[] storage, BigInteger offset, long[] shape, long[] strides) =>
        Call("torch._utils", "_rebuild_tensor_v2", storage, Whole(offset), Numbers(shape), Numbers(strides), Truth(false), Call("collections", "OrderedDict"));

    /// <summary>A whole pickle: its protocol, the value and STOP.</summary>
    public static byte[] Complete(byte[] value, byte protocol = 2) => [0x80, protocol, .. value, (byte)'.'];

    private static byte[] Entries(byte[] dictionary, IEnumerable<(byte[] Key, byte[] Value)> entries) =>
        [.. dictionary, (byte)'(', .. entries.SelectMany(entry => entry.Key.Concat(entry.Value)), (byte)'u'];

    private static byte[] Little(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
