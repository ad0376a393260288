using System.Buffers.Binary;
using System.IO.Compression;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The files that every case of a golden file finds in its folder.</summary>
internal static class GoldenInputs
{
    /// <summary>Writes all of them.</summary>
    public static void WriteTo(TemporaryFolder folder)
    {
        folder.Write("mixed.safetensors", SampleFiles.Mixed());
        folder.Write("values.safetensors", Values());
        folder.Write("tied.safetensors", Tied());
        folder.Write("left.safetensors", Left());
        folder.Write("changed.safetensors", [.. Left()[..^1], 1]);
        folder.Write("right.safetensors", Right());
        folder.Write("hostile.safetensors", SampleFiles.HostileNames());
        folder.Write("truncated.safetensors", SampleFiles.Truncated());
        folder.Write("model.h5", SampleFiles.Hdf5());
        folder.Write("blocks.gguf", Blocks());
        folder.Write("nan.gguf", new GgufBuilder().Tensor("blk.0.attn_q.weight", 2, [32, 2], [.. Block(), 1, 0x7e, .. Block()[2..]]).ToBytes());
        folder.Write("fp8/model.safetensors", SafetensorsBuilder.Tiny());
        folder.Write("fp8/config.json", """{"quantization_config":{"quant_method":"fp8"}}""");
        foreach (var (name, file) in ((string, string)[])
            [
                ("checkpoint.pt", "checkpoint.zip.pt"), ("views.pt", "views.zip.pt"), ("stream.pt", "tied.legacy.pt"), ("script.pt", "script.jit.pt"),
                ("whole.pt", "wholemodule.zip.pt"), ("arrays.npz", "npy/stored.npz"),
                ("hostile/eval.pt", "hostile/eval.legacy.pt"), ("hostile/os_system.pt", "hostile/os_system.zip.pt"),
                ("hostile/proto0_inst.pt", "hostile/proto0_inst.pt"), ("hostile/stack_global.pkl", "hostile/stack_global.pkl"),
            ])
        {
            folder.Write(name, GoldenArchive.Read("torch", file));
        }

        folder.Write("flipped.pt", Flipped());
        // Names that write to the terminal, and a byte that is no opcode behind them.
        folder.Write("broken.pkl", [0x80, 2, .. "cforeign\nred\u001b[31m\n0cos\nsystem\n"u8, 0xff]);
        Directory.CreateDirectory(folder["empty"]);
        SampleFiles.WithWarning(folder);
        SampleFiles.Enormous(folder);
    }

    // One tensor of each shape and kind of value that is shown in another way.
    private static byte[] Values() => new SafetensorsBuilder()
        .Add("vector", "F32", [5], Floats(0.1f, -1.5f, 2, 1e-20f, 3))
        .Add("matrix", "F32", [2, 12], Floats([.. Enumerable.Range(0, 24).Select(i => (i - 8) / 4f)]))
        .Add("integers", "I64", [6], Integers(0, 1, -1, 1, long.MaxValue, long.MinValue))
        .Add("special", "F32", [2, 4], Floats(float.NaN, float.PositiveInfinity, float.NegativeInfinity, -0f, 0, 1, float.NaN, 2))
        .Add("complex", "C64", [2], Floats(1, -2, 0.5f, 3))
        .Add("scalar", "BOOL", [], [1])
        .Add("empty", "F32", [0, 3], [])
        .ToBytes();

    private static byte[] Tied() => new SafetensorsBuilder()
        .AddMetadata(new Dictionary<string, string> { ["format"] = "pt", ["ties"] = """{"lm_head.weight":"model.embed_tokens.weight"}""" })
        .Add("model.embed_tokens.weight", "F32", [4, 2], Floats(0, 1, 2, 3, 4, 5, 6, 7))
        .Add("model.norm.weight", "F32", [2], Floats(1, 1))
        .ToBytes();

    // Two blocks of Q4_0, each with a scale of 1 as F16, and metadata of each kind.
    private static byte[] Blocks() => new GgufBuilder()
        .Add("general.architecture", "llama")
        .Add("general.file_type", 2u)
        .Add("tokens", (string[])["a", "b"])
        .Tensor("blk.0.attn_q.weight", 2, [32, 2], [.. Block(), .. Block()])
        .Tensor("blk.0.attn_norm.weight", 0, [2], Floats(1, 2))
        .ToBytes();

    private static byte[] Block() => [0, 0x3c, .. Enumerable.Range(0, 16).Select(i => (byte)(i * 17))];

    private static byte[] Left() => new SafetensorsBuilder()
        .AddMetadata(new Dictionary<string, string> { ["format"] = "pt" })
        .Add("same", "F32", [2], Floats(1, 2))
        .Add("removed", "F32", [2], Floats(1, 2))
        .Add("dtype", "F32", [2], Floats(1, 2))
        .Add("shape", "F32", [2], Floats(1, 2))
        .Add("values", "F32", [2, 2], Floats(1, 2, float.NaN, 4))
        .Add("bytes", "F32", [1], Floats(0))
        .ToBytes();

    private static byte[] Right() => new SafetensorsBuilder()
        .Add("same", "F32", [2], Floats(1, 2))
        .Add("dtype", "BF16", [2], [0x80, 0x3f, 0x00, 0x40])
        .Add("shape", "F32", [1, 2], Floats(1, 2))
        .Add("values", "F32", [2, 2], Floats(1, -2.5f, 3, 4))
        .Add("bytes", "F32", [1], Floats(-0f))
        .Add("added", "F32", [2], Floats(1, 2))
        .ToBytes();

    private static byte[] Floats(params float[] values)
    {
        var bytes = new byte[values.Length * sizeof(float)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), values[i]);
        }

        return bytes;
    }

    private static byte[] Integers(params long[] values)
    {
        var bytes = new byte[values.Length * sizeof(long)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(i * sizeof(long)), values[i]);
        }

        return bytes;
    }

    // One bit of one record, which makes another number that is as good as any.
    private static byte[] Flipped()
    {
        var bytes = GoldenArchive.Read("torch", "views.zip.pt");
        using var archive = new ZipArchive(new MemoryStream(bytes));
        using var record = archive.Entries.Single(entry => entry.FullName.EndsWith("data/0", StringComparison.Ordinal)).Open();
        var content = new byte[8];
        record.ReadExactly(content);
        bytes[bytes.AsSpan().IndexOf(content)] ^= 1;
        return bytes;
    }
}
