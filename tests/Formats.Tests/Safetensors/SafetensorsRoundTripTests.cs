using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Whatever may be written is read again as it was.</summary>
public sealed class SafetensorsRoundTripTests
{
    // Letters that JSON escapes, that take one to four bytes, and that a name may be made of nothing but.
    private static readonly string[] Letters =
        ["a", "b", ".", "0", " ", "\"", "\\", "/", "\n", "\u001f", "\u007f", "é", "\u2028", "語", "\uff21", "\ufeff", "😀", "<", "\ufffd"];

    private static readonly Gen<string> Text = Gen.Elements(Letters).ArrayOf().Select(string.Concat);

    private static readonly Gen<SafetensorsTensor> Tensor =
        from name in Text
        from dtype in Gen.Elements(DType.All.Where(dtype => dtype.IsSafetensors).ToArray())
        from dimensions in Gen.Choose(0, 4).ArrayOf()
        select new SafetensorsTensor(name, dtype, WholeBytes(dtype, dimensions));

    private static readonly Gen<Content> Contents =
        from tensors in Tensor.ArrayOf()
        from metadata in Text.Two().ArrayOf()
        from seed in Gen.Choose(0, int.MaxValue)
        select new Content(
            [.. tensors.DistinctBy(tensor => tensor.Name)],
            metadata.DistinctBy(pair => pair.Item1).ToDictionary(pair => pair.Item1, pair => pair.Item2),
            seed);

    [Fact]
    public void WriteThenRead_GivesTheSameNamesTypesShapesMetadataAndBytes() =>
        Prop.ForAll(Contents.ToArbitrary(), content => AssertReadAgainAsync(content).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    private static async Task AssertReadAgainAsync(Content content)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(content.Seed);
        var values = new Dictionary<string, byte[]>();
        await using (var writer = await SafetensorsWriter.CreateAsync(folder["f"], content.Tensors, content.Metadata))
        {
            foreach (var tensor in content.Tensors)
            {
                var bytes = new byte[tensor.DType.ByteCount(tensor.Shape.ElementCount)];
                random.NextBytes(bytes);
                values.Add(tensor.Name, bytes);
                // The end before the beginning, since any order is allowed.
                var middle = random.Next(bytes.Length + 1);
                await writer.WriteAsync(tensor.Name, middle, bytes.AsMemory(middle));
                await writer.WriteAsync(tensor.Name, 0, bytes.AsMemory(0, middle));
            }

            await writer.CommitAsync();
        }

        await using var checkpoint = await Opening.AcceptedAsync(await File.ReadAllBytesAsync(folder["f"]));
        Assert.Equal(content.Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal), checkpoint.Metadata.Select(pair => new KeyValuePair<string, string>(pair.Key, (string)pair.Value)));
        Assert.Equal(content.Tensors.Length, checkpoint.Tensors.Length);
        foreach (var expected in content.Tensors)
        {
            var tensor = checkpoint[expected.Name];
            Assert.Equal(expected, new SafetensorsTensor(tensor.Name, tensor.DType, tensor.Shape));
            var bytes = new byte[tensor.ByteLength];
            await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
            Assert.Equal(values[expected.Name], bytes);
        }
    }

    // At most four dimensions, the last a whole number of groups, so that types below a byte end on one.
    private static Shape WholeBytes(DType dtype, int[] dimensions)
    {
        long[] kept = [.. dimensions.Take(4).Select(dimension => (long)dimension)];
        if (kept.Length > 0)
        {
            kept[^1] *= dtype.BlockLength;
        }

        return dtype.BlockLength > 1 && kept.Length == 0 ? new Shape(dtype.BlockLength) : new Shape(kept);
    }

    private sealed record Content(SafetensorsTensor[] Tensors, Dictionary<string, string> Metadata, int Seed)
    {
        public override string ToString() =>
            $"{string.Join("; ", Tensors.Select(tensor => $"{Quoted.Plain(tensor.Name)} {tensor.DType} {tensor.Shape}"))}"
            + $" | {string.Join("; ", Metadata.Select(pair => $"{Quoted.Plain(pair.Key)}={Quoted.Plain(pair.Value)}"))} | {Seed}";
    }
}
