using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace IlgpuLoader.TestKit;

/// <summary>
/// Builds the bytes of safetensors files from the format's own rules, without the writer under test: well-formed ones
/// tensor by tensor, and broken ones from any header and any length field.
/// </summary>
public sealed class SafetensorsBuilder
{
    private readonly List<string> _entries = [];
    private readonly List<byte> _data = [];

    /// <summary>Header text and data with the right length field; the header need not be valid.</summary>
    public static byte[] File(string header, ReadOnlySpan<byte> data = default) => File(Encoding.UTF8.GetBytes(header), data);

    /// <summary>Header bytes and data with the right length field; the header need not be valid.</summary>
    public static byte[] File(ReadOnlySpan<byte> header, ReadOnlySpan<byte> data = default) => File((ulong)header.Length, header, data);

    /// <summary>A file with any length field.</summary>
    public static byte[] File(ulong length, ReadOnlySpan<byte> header, ReadOnlySpan<byte> data = default)
    {
        var file = new byte[8 + header.Length + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);
        header.CopyTo(file.AsSpan(8));
        data.CopyTo(file.AsSpan(8 + header.Length));
        return file;
    }

    /// <summary>A file with one tensor 'a' of one F32.</summary>
    public static byte[] Tiny() => new SafetensorsBuilder().Add("a", "F32", [1], [0, 0, 128, 63]).ToBytes();

    /// <summary>The text of one entry of a header.</summary>
    public static string Entry(string name, string dtype, IEnumerable<ulong> shape, ulong begin, ulong end) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{JsonSerializer.Serialize(name)}:{{\"dtype\":\"{dtype}\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{begin},{end}]}}");

    /// <summary>Adds a tensor behind the ones before; the data must have the size that type and shape ask for.</summary>
    public SafetensorsBuilder Add(string name, string dtype, IEnumerable<ulong> shape, ReadOnlySpan<byte> data)
    {
        _entries.Add(Entry(name, dtype, shape, (ulong)_data.Count, (ulong)(_data.Count + data.Length)));
        _data.AddRange(data);
        return this;
    }

    /// <summary>Adds the free-form strings.</summary>
    public SafetensorsBuilder AddMetadata(IReadOnlyDictionary<string, string> metadata)
    {
        _entries.Add("\"__metadata__\":" + JsonSerializer.Serialize(metadata));
        return this;
    }

    /// <summary>The file, with its header padded to eight bytes.</summary>
    public byte[] ToBytes()
    {
        var header = "{" + string.Join(',', _entries) + "}";
        var length = Encoding.UTF8.GetByteCount(header);
        return File(header + new string(' ', -length & 7), CollectionsMarshal.AsSpan(_data));
    }
}
