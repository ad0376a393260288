using System.Buffers.Binary;
using System.Text;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Small checkpoints that the commands are tried on.</summary>
internal static class SampleFiles
{
    /// <summary>Tensors of kinds that are treated differently: floats, an integer, BOOL, a complex number, half bytes.</summary>
    public static byte[] Mixed()
    {
        Span<byte> floats = stackalloc byte[8];
        BinaryPrimitives.WriteSingleLittleEndian(floats, 1f);
        BinaryPrimitives.WriteSingleLittleEndian(floats[4..], -2f);
        Span<byte> integers = stackalloc byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(integers, 1);
        BinaryPrimitives.WriteInt64LittleEndian(integers[8..], -2);
        return new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["format"] = "pt" })
            .Add("block.0.f32", "F32", [2], floats)
            .Add("block.0.bf16", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
            .Add("block.1.i64", "I64", [2], integers)
            .Add("block.1.bool", "BOOL", [2], [1, 0])
            .Add("complex", "C64", [1], floats)
            .Add("half.bytes", "F4", [2, 2], [0x12, 0x34])
            .ToBytes();
    }

    /// <summary>
    /// Two gigabytes of BF16 in 128 tensors, all of it holes that take no disk: so much that no disk, however fast, has it
    /// converted before somebody has seen that the conversion is under way.
    /// </summary>
    /// <returns>The path.</returns>
    public static string WriteHoles(string path)
    {
        const int count = 128;
        const long size = 16L << 20;
        var tensors = Enumerable.Range(0, count).Select(i =>
            $$"""
            "t{{i:D3}}":{"dtype":"BF16","shape":[64,{{size / 2 / 64}}],"data_offsets":[{{i * size}},{{(i + 1) * size}}]}
            """);
        var header = Encoding.UTF8.GetBytes($"{{{string.Join(',', tensors)}}}");
        using var file = File.Create(path);
        file.Write(BitConverter.GetBytes((long)header.Length));
        file.Write(header);
        file.SetLength(sizeof(long) + header.Length + (count * size));
        return path;
    }

    /// <summary>A file that breaks a rule: its only tensor ends behind the file.</summary>
    public static byte[] Truncated() => SafetensorsBuilder.Tiny()[..^1];

    /// <summary>A valid beginning of a format that the tool knows and does not read.</summary>
    public static byte[] Hdf5() => [0x89, .. "HDF\r\n"u8, 0x1A, (byte)'\n', .. new byte[16]];

    /// <summary>A file with names that write to the terminal or turn its direction, where they are not escaped.</summary>
    public static byte[] HostileNames() => new SafetensorsBuilder()
        .AddMetadata(new Dictionary<string, string> { ["k\u001b]0;title\u0007"] = "line\nline" })
        .Add("red\u001b[31m", "F32", [1], new byte[4])
        .Add("turned\u202etxt", "F32", [1], new byte[4])
        .Add("c1\u009b2J", "F32", [1], new byte[4])
        .ToBytes();

    /// <summary>A folder with the same weights twice, of which one is left aside with a warning.</summary>
    public static string WithWarning(TemporaryFolder folder)
    {
        folder.Write("two/model.safetensors", SafetensorsBuilder.Tiny());
        folder.Write("two/model.fp16.safetensors", SafetensorsBuilder.Tiny());
        return folder["two"];
    }

    /// <summary>Four tebibytes that take no space: nothing but the header is stored.</summary>
    public static string Enormous(TemporaryFolder folder)
    {
        const long bytes = 1L << 42;
        var header = SafetensorsBuilder.File("{" + SafetensorsBuilder.Entry("a", "U8", [(ulong)bytes], 0, (ulong)bytes) + "}");
        var path = folder.Write("enormous.safetensors", header);
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write);
        RandomAccess.SetLength(file, header.Length + bytes);
        return path;
    }
}
