using System.Buffers.Binary;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What must hold for every file, tried on random ones; a failure prints the seed to repeat it with.</summary>
public sealed class SafetensorsPropertyTests
{
    private static readonly Config Thorough = Config.QuickThrowOnFailure.WithMaxTest(300);

    private static readonly byte[] Original = new SafetensorsBuilder()
        .AddMetadata(new Dictionary<string, string> { ["format"] = "pt", ["é"] = "\\\"" })
        .Add("a", "F32", [2, 3], new byte[24])
        .Add("scalar", "BF16", [], new byte[2])
        .Add("f6", "F6_E2M3", [4], new byte[3])
        .Add("empty", "I64", [0, 7], [])
        .ToBytes();

    [Fact]
    public void Write_ThenRead_GivesTheSameTensorsAndBytes()
    {
        using var folder = new TemporaryFolder();
        Check.One(Thorough.WithMaxTest(100), Prop.ForAll(Arb.From(Files()), file => RoundTripAsync(folder["a.safetensors"], file).GetAwaiter().GetResult()));
    }

    [Fact]
    public void Open_HeaderWithOneByteReplaced_OpensConsistentlyOrThrowsItsOwnException()
    {
        var mutations =
            from position in Gen.Choose(0, HeaderEnd - 1)
            from value in Gen.Choose(0, 255)
            select (position, value);
        Check.One(Thorough.WithMaxTest(5_000), Prop.ForAll(Arb.From(mutations), mutation =>
        {
            var file = Original.ToArray();
            file[mutation.position] = (byte)mutation.value;
            OpensConsistentlyOrThrows(file);
        }));
    }

    [Fact]
    public void Open_HeaderWithAPieceMovedCutOrRepeated_OpensConsistentlyOrThrowsItsOwnException()
    {
        // Cutting along the pieces of the grammar reaches deeper than single bytes do.
        string[] pieces = ["{", "}", "[", "]", ",", ":", "\"", "\\ud800", "\\u0000", "0", "-1", "18446744073709551615", "null", "\"dtype\"", "\"F32\"", " ", "\0"];
        var edits =
            from start in Gen.Choose(8, HeaderEnd)
            from length in Gen.Choose(0, 12)
            from inserted in Gen.Elements(pieces)
            from times in Gen.Choose(0, 3)
            select (start, length, inserted, times);
        Check.One(Thorough.WithMaxTest(5_000), Prop.ForAll(Arb.From(edits), edit =>
        {
            var header = Original.AsSpan(8, HeaderEnd - 8);
            var start = edit.start - 8;
            byte[] changed =
            [
                .. header[..start],
                .. Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(edit.inserted, edit.times))),
                .. header[Math.Min(header.Length, start + edit.length)..],
            ];
            OpensConsistentlyOrThrows(SafetensorsBuilder.File(changed, Original.AsSpan(HeaderEnd)));
        }));
    }

    [Fact]
    public void Open_FileCutAnywhere_ThrowsItsOwnException()
    {
        for (var length = 0; length < Original.Length; length++)
        {
            Assert.NotNull(Record(Original[..length]));
        }
    }

    [Fact]
    public void Open_RandomBytes_ThrowsItsOwnException()
    {
        var bytes = Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf();
        Check.One(Thorough, Prop.ForAll(Arb.From(bytes), file => Assert.NotNull(Record(file))));
    }

    private static int HeaderEnd => 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(Original);

    private static void OpensConsistentlyOrThrows(byte[] file)
    {
        if (Record(file) is null)
        {
            var checkpoint = Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)).GetAwaiter().GetResult();
            Opening.AssertConsistent(checkpoint, file.Length);
        }
    }

    // Any other exception than ours comes through and fails the property.
    private static CheckpointException? Record(byte[] file)
    {
        try
        {
            _ = Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)).GetAwaiter().GetResult();
            return null;
        }
        catch (CheckpointException exception)
        {
            return exception;
        }
    }

    private static async Task RoundTripAsync(string path, RandomFile file)
    {
        await using (var writer = await SafetensorsWriter.CreateAsync(path, file.Tensors.Select(tensor => tensor.Tensor), file.Metadata))
        {
            foreach (var (tensor, bytes) in file.Tensors)
            {
                await writer.WriteAsync(tensor.Name, 0, bytes);
            }

            await writer.CommitAsync();
        }

        await using var checkpoint = await Checkpoint.OpenAsync(path);
        Assert.Equal(file.Tensors.Select(tensor => tensor.Tensor.Name).Order(StringComparer.Ordinal), checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(file.Metadata, checkpoint.Metadata.ToDictionary(pair => pair.Key, pair => (string)pair.Value));
        foreach (var (expected, bytes) in file.Tensors)
        {
            var actual = checkpoint[expected.Name];
            Assert.Equal(expected.DType, actual.DType);
            Assert.Equal(expected.Shape, actual.Shape);
            var read = new byte[actual.ByteLength];
            await actual.File.Source.ReadExactlyAsync(actual.Offset, read);
            Assert.Equal(bytes, read);
        }
    }

    private static Gen<RandomFile> Files()
    {
        // Text that a writer may get wrong: quotes, escapes, non-ASCII, surrogate pairs; no NUL and no half pairs.
        var text = Gen.Elements("a", "layer.0", "\"", "\\", "/", "é", "😀", "\u2028", "\u001b", "<", "+", "\u007f", "").ArrayOf(4).Select(string.Concat);
        var shapes = Gen.Choose(0, 4).ArrayOf().Where(dimensions => dimensions.Length <= 5).Select(dimensions => dimensions.Select(d => (long)d).ToArray());
        var tensors =
            from name in text
            from dtype in Gen.Elements(SafetensorsTypes.InEnumOrder)
            from shape in shapes
            from seed in Gen.Choose(0, int.MaxValue - 1)
            select RandomTensor(name, dtype, shape, seed);
        return
            from list in tensors.ArrayOf()
            from keys in text.ArrayOf()
            from values in text.ArrayOf(keys.Length)
            select new RandomFile(
                [.. list.DistinctBy(tensor => tensor.Tensor.Name)],
                keys.Zip(values).DistinctBy(pair => pair.First).ToDictionary(pair => pair.First, pair => pair.Second));
    }

    private static (SafetensorsTensor Tensor, byte[] Bytes) RandomTensor(string name, string dtype, long[] shape, int seed)
    {
        // A last dimension of 8 more makes whole bytes of every type.
        long[] whole = [.. shape, 8];
        var bytes = new byte[whole.Aggregate(SafetensorsTypes.Bits[dtype], (product, dimension) => product * dimension) / 8];
        new Random(seed).NextBytes(bytes);
        return (new SafetensorsTensor(name, Enum.Parse<DType>(dtype), new Shape(whole)), bytes);
    }

    private sealed record RandomFile((SafetensorsTensor Tensor, byte[] Bytes)[] Tensors, Dictionary<string, string> Metadata)
    {
        // What FsCheck prints when the property does not hold.
        public override string ToString() =>
            string.Join("; ", Tensors.Select(tensor => tensor.Tensor)) + " with " + string.Join("; ", Metadata);
    }
}
