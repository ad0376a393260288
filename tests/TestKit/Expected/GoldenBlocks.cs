using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.TestKit;

/// <summary>
/// The tensors of a golden GGUF file as bytes, and ggml's float32 values of them. Reads what gguf-py wrote for those sets
/// (version 3, little-endian), and is no reader for files from elsewhere.
/// </summary>
public static class GoldenBlocks
{
    private const string Set = "gguf";
    private const int StringType = 8;
    private const int ArrayType = 9;

    // The sizes of the metadata types 0 to 12; strings and arrays have none.
    private static readonly int[] Sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

    /// <summary>Where each tensor's bytes begin and end in the file, by name.</summary>
    public static IReadOnlyDictionary<string, Range> Locate(byte[] file)
    {
        var position = 8;
        var tensors = (int)ReadInt64(file, ref position);
        var entries = (int)ReadInt64(file, ref position);
        var alignment = 32;
        for (var i = 0; i < entries; i++)
        {
            var key = ReadString(file, ref position);
            var type = ReadInt32(file, ref position);
            if (key == "general.alignment")
            {
                alignment = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(position));
            }

            Skip(file, ref position, type);
        }

        var offsets = new List<(string Name, int Offset)>();
        for (var i = 0; i < tensors; i++)
        {
            var name = ReadString(file, ref position);
            var dimensions = ReadInt32(file, ref position);
            position += (sizeof(long) * dimensions) + sizeof(int);
            offsets.Add((name, (int)ReadInt64(file, ref position)));
        }

        var data = (position + alignment - 1) / alignment * alignment;
        return offsets
            .Select((tensor, i) => (tensor.Name, Range: (data + tensor.Offset)..(i + 1 < tensors ? data + offsets[i + 1].Offset : file.Length)))
            .ToDictionary(tensor => tensor.Name, tensor => tensor.Range);
    }

    /// <summary>
    /// The stored bytes of a tensor of <c>all-types.gguf</c>, by the type's name and the kind: quant or fuzz. The one type that
    /// gguf-py does not know yet, Q2_0, is in <c>ggml-c-writer.gguf</c>.
    /// </summary>
    /// <param name="type">The type, such as <c>Q4_K</c>.</param>
    /// <param name="kind">Quantised weights (<c>quant</c>), or blocks of random bytes (<c>fuzz</c>).</param>
    /// <param name="byteCount">How many bytes; what follows them is padding.</param>
    public static byte[] Stored(string type, string kind, int byteCount)
    {
        var file = GoldenArchive.Read(Set, type == "Q2_0" ? "ggml-c-writer.gguf" : "all-types.gguf");
        return file.AsSpan(Locate(file)[$"{type}.{kind}"])[..byteCount].ToArray();
    }

    /// <summary>What ggml makes of it: float32 values.</summary>
    public static ReadOnlyMemory<byte> Expected(string type, string kind) => NpyFile.Golden(Set, $"expected/{type}.{kind}.npy").Data;

    private static void Skip(byte[] file, ref int position, int type)
    {
        if (type == StringType)
        {
            _ = ReadString(file, ref position);
        }
        else if (type == ArrayType)
        {
            var element = ReadInt32(file, ref position);
            for (var count = ReadInt64(file, ref position); count > 0; count--)
            {
                Skip(file, ref position, element);
            }
        }
        else
        {
            position += Sizes[type];
        }
    }

    private static int ReadInt32(byte[] file, ref int position) => BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan((position += 4) - 4));

    private static long ReadInt64(byte[] file, ref int position) => BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan((position += 8) - 8));

    private static string ReadString(byte[] file, ref int position)
    {
        var length = (int)ReadInt64(file, ref position);
        return Encoding.UTF8.GetString(file, (position += length) - length, length);
    }
}
