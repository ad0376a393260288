using System.Text.Json;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Every file of the golden set, which ggml's own writers made, against what the set's manifest says of it.</summary>
public sealed class GgufGoldenTests
{
    public static TheoryData<string> Files => [.. GgufManifest.FileNames];

    [Fact]
    public void Manifest_OfTheSet_CoversEveryFile() => Assert.Equal(
        GoldenArchive.Names(GgufManifest.Set).Where(name => name.EndsWith(".gguf", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        GgufManifest.FileNames);

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Open_GoldenFile_HasTheTensorsOfTheManifest(string file)
    {
        var expected = GgufManifest.File(file);
        await using var checkpoint = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, file));
        Assert.Equal(
            expected.Tensors.Select(tensor => (tensor.Key, tensor.Value.Type)).Order(),
            checkpoint.Tensors.Select(tensor => (tensor.Name, tensor.DType.Name)).Order());
        foreach (var tensor in checkpoint.Tensors)
        {
            Assert.Equal(expected.Tensors[tensor.Name].Shape, tensor.Shape);
            Assert.True(GgufTypes.TryGetId(tensor.DType, out var id));
            Assert.Equal(expected.Tensors[tensor.Name].TypeId, id);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Open_GoldenFile_HasTheMetadataOfTheManifest(string file)
    {
        var expected = GgufManifest.File(file);
        await using var checkpoint = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, file));
        foreach (var (key, entry) in expected.Metadata ?? new Dictionary<string, JsonElement>())
        {
            // gguf-py writes no empty string (GGUFWriter.add_string).
            if (entry[1].ValueKind == JsonValueKind.String && entry[1].GetString()!.Length == 0)
            {
                Assert.DoesNotContain(key, checkpoint.Metadata.Keys);
                continue;
            }

            var value = checkpoint.Metadata[key];
            Assert.Equal(entry[0].GetString(), GgufValueType.Of(value.GetType()).ToString());
            if (value is GgufArray array)
            {
                Assert.Equal(entry[1].EnumerateArray().Select(Text), array.Select(item => Text(item)));
                Assert.Equal(array.Count, entry[1].GetArrayLength());
            }
            else
            {
                Assert.Equal(Text(entry[1]), Text(value));
            }
        }
    }

    [Theory]
    [InlineData("v1.gguf", 1, false, 32)]
    [InlineData("v2.gguf", 2, false, 32)]
    [InlineData("all-types.gguf", 3, false, 32)]
    [InlineData("align64.gguf", 3, false, 64)]
    [InlineData("v3-align8.gguf", 3, false, 8)]
    [InlineData("big-endian-plain.gguf", 3, true, 32)]
    [InlineData("big-endian-quant.gguf", 3, true, 32)]
    [InlineData("ggml-c-writer.gguf", 3, false, 32)]
    public async Task Open_GoldenFile_HasVersionByteOrderAndAlignment(string file, int version, bool isBigEndian, int alignment)
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, file));
        var header = Assert.IsType<GgufHeader>(checkpoint.Files[0].Header);
        Assert.Equal((version, isBigEndian, alignment), (header.Version, header.IsBigEndian, header.Alignment));
        Assert.Equal(header.DataOffset, checkpoint.Tensors[0].Offset);
        Assert.Equal(isBigEndian ? "BIG" : "LITTLE", GgufManifest.File(file).Endian);
        Assert.All(checkpoint.Tensors, tensor => Assert.Equal(0, tensor.Offset % alignment));
    }

    [Fact]
    public async Task Open_NestedArrays_KeepTheirTypes()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, "v3-nested-array.gguf"));
        var nested = Assert.IsType<GgufArray>(checkpoint.Metadata["nested.arr"]);
        Assert.Equal(GgufValueType.ARRAY, nested.ElementType);
        Assert.Equal([1, 2], nested.GetArray(0).ToArray<int>());
        Assert.Equal(["x"], nested.GetArray(1).ToArray<string>());
        Assert.Equal([7, -8, 9], ((GgufArray)checkpoint.Metadata["h.arr"]).ToArray<int>());
        Assert.Equal("STRING[0]", checkpoint.Metadata["empty.arr"].ToString());
    }

    [Fact]
    public async Task Open_FileWithoutTensors_HasMetadataOnly()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, "v3-no-tensors.gguf"));
        Assert.Empty(checkpoint.Tensors);
        Assert.Equal("llama", ((GgufHeader)checkpoint.Files[0].Header!).Architecture);
    }

    // The same tensors are in a little-endian file: the order of the bytes must not be seen from outside.
    [Theory]
    [InlineData("big-endian-plain.gguf")]
    [InlineData("big-endian-quant.gguf")]
    public async Task Read_BigEndianFile_HasTheBytesOfTheLittleEndianOne(string file)
    {
        await using var little = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, "all-types.gguf"));
        await using var big = await GgufOpening.AcceptedAsync(GoldenArchive.Read(GgufManifest.Set, file));
        foreach (var tensor in big.Tensors)
        {
            Assert.Equal(await GgufOpening.BytesAsync(little[tensor.Name]), await GgufOpening.BytesAsync(tensor));
        }
    }

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        JsonValueKind.Number => value.GetDouble().ToString("R"),
        _ => value.GetString()!,
    };

    private static string Text(object value) => value switch
    {
        float number => ((double)number).ToString("R"),
        double number => number.ToString("R"),
        _ => value.ToString()!,
    };
}
