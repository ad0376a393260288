using System.Buffers.Binary;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// A small GGUF file of random weights. It keeps what it has written, and decodes that by formulas of its own (ggml-quants.c),
/// so that what a loader gives can be held against it.
/// </summary>
internal sealed class GgufSample
{
    private readonly Dictionary<string, Stored> _tensors = [];
    private readonly Random _random = new(11);

    public GgufBuilder Builder { get; } = new();

    /// <summary>
    /// One block of a llama with two heads of four rows and one for keys and values, three experts, a router of integers (no
    /// model has one), an output that is tied, a tensor that is left out, and one without a name.
    /// </summary>
    public static GgufSample Llama()
    {
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 1u)
            .Add("llama.attention.head_count", 2u)
            .Add("llama.attention.head_count_kv", 1u)
            .Add("llama.expert_count", 3u);
        return sample
            .Add("token_embd.weight", 8, 6, 64)
            .Add("rope_freqs.weight", 0, 2)
            .Add("blk.0.attn_norm.weight", 0, 64)
            .Add("blk.0.attn_q.weight", 2, 8, 64)
            .Add("blk.0.attn_q.bias", 28, 8)
            .Add("blk.0.attn_k.weight", 8, 4, 64)
            .Add("blk.0.attn_v.weight", 1, 4, 64)
            .Add("extra.tensor", 0, 3)
            .Add("blk.0.ffn_gate_inp.weight", 26, 3, 64)
            .Add("blk.0.ffn_down_exps.weight", 8, 3, 2, 32);
    }

    /// <summary>Adds a tensor of F32 (0), F16 (1), Q4_0 (2), Q8_0 (8), I32 (26) or F64 (28).</summary>
    public GgufSample Add(string name, int type, params long[] shape)
    {
        var elements = shape.Aggregate(1L, (product, size) => product * size);
        byte[] bytes = type switch
        {
            0 => [.. Each(elements, () => BitConverter.GetBytes(Value()))],
            1 => [.. Each(elements, () => BitConverter.GetBytes((Half)Value()))],
            2 => [.. Each(elements / 32, () => [.. BitConverter.GetBytes((Half)Value()), .. Bytes(16)])],
            8 => [.. Each(elements / 32, () => [.. BitConverter.GetBytes((Half)Value()), .. Bytes(32)])],
            26 => Bytes((int)elements * 4),
            28 => [.. Each(elements, () => BitConverter.GetBytes((double)Value()))],
            _ => throw new ArgumentException($"The sample has no type {type}.", nameof(type)),
        };
        _tensors.Add(name, new Stored(type, shape, bytes));
        Builder.Tensor(name, type, [.. shape.Reverse().Select(size => (ulong)size)], bytes);
        return this;
    }

    public Task<Checkpoint> OpenAsync() => OpenAsync(new MemorySource(Builder.ToBytes(), "sample.gguf"));

    public static Task<Checkpoint> OpenAsync(IByteSource source) => Checkpoint.OpenAsync(source);

    /// <summary>The built-in map for the sample.</summary>
    public static GgufNameMap MapOf(Checkpoint checkpoint) =>
        GgufNameMap.ForArchitecture((string)checkpoint.Metadata["general.architecture"], checkpoint.Metadata);

    /// <summary>The stored bytes of each row, the outermost dimension.</summary>
    public byte[][] Rows(string name) => [.. _tensors[name].Bytes.Chunk(_tensors[name].Bytes.Length / (int)_tensors[name].Shape[0])];

    /// <summary>The values of each row.</summary>
    public float[][] Values(string name) => [.. Rows(name).Select(row => Decode(_tensors[name].Type, row))];

    /// <summary>The values of a vector, whose rows are single elements.</summary>
    public float[] VectorValues(string name) => Decode(_tensors[name].Type, _tensors[name].Bytes);

    /// <summary>The rows of each head as a checkpoint has them, from those of a GGUF, by llama.cpp's own words: reshape to
    /// [head, half, 2] and back (convert_hf_to_gguf.py, LlamaModel.permute).</summary>
    public static T[] Unpermute<T>(T[] rows, int heads)
    {
        var perHead = rows.Length / heads;
        return
        [
            .. from head in Enumerable.Range(0, heads)
               from half in Enumerable.Range(0, 2)
               from pair in Enumerable.Range(0, perHead / 2)
               select rows[(head * perHead) + (2 * pair) + half],
        ];
    }

    /// <summary>A tensor's bytes, wherever it is.</summary>
    public static byte[] Read(Tensor tensor) => tensor.Device.IsHost ? tensor.AsSpan<byte>().ToArray() : LateDevice.Read(tensor);

    private static float[] Decode(int type, byte[] row) => type switch
    {
        0 => [.. row.Chunk(4).Select(bytes => BinaryPrimitives.ReadSingleLittleEndian(bytes))],
        1 => [.. row.Chunk(2).Select(bytes => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes))],
        2 =>
        [
            .. row.Chunk(18).SelectMany(block => Enumerable.Range(0, 32).Select(i =>
                (float)BinaryPrimitives.ReadHalfLittleEndian(block) * ((i < 16 ? block[2 + i] & 15 : block[2 + i - 16] >> 4) - 8))),
        ],
        8 => [.. row.Chunk(34).SelectMany(block => block.Skip(2).Select(quant => (float)BinaryPrimitives.ReadHalfLittleEndian(block) * (sbyte)quant))],
        28 => [.. row.Chunk(8).Select(bytes => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes))],
        _ => throw new ArgumentException($"Type {type} is not decoded.", nameof(type)),
    };

    private static IEnumerable<byte> Each(long count, Func<IEnumerable<byte>> make) => Enumerable.Range(0, (int)count).SelectMany(_ => make());

    private float Value() => (float)(_random.NextDouble() - 0.5);

    private byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        _random.NextBytes(bytes);
        return bytes;
    }

    private sealed record Stored(int Type, long[] Shape, byte[] Bytes);
}
