using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The bytes that the writer makes: formats.md 1.5.</summary>
public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Commit_TwoTensors_HasExactlyTheBytesOfTheFormat()
    {
        var file = await WriteAsync(
            new Dictionary<string, string> { ["z"] = "1", ["a"] = "é" },
            ("b", "U8", [3], [7, 8, 9]),
            ("a", "F32", [1], [1, 2, 3, 4]));
        const string header =
            """{"__metadata__":{"a":"é","z":"1"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]}}""";
        var padding = -Encoding.UTF8.GetByteCount(header) & 7;
        Assert.Equal(SafetensorsBuilder.File(header + new string(' ', padding), [1, 2, 3, 4, 7, 8, 9]), file);
    }

    [Fact]
    public async Task Commit_EveryType_OrdersThemFromTheLastOfTheEnumToTheFirst()
    {
        var tensors = SafetensorsTypes.InEnumOrder.Select(dtype => ("t_" + dtype, dtype, new long[] { 8 }, new byte[SafetensorsTypes.Bits[dtype]]));
        var file = await WriteAsync(null, [.. tensors]);
        Assert.Equal(SafetensorsTypes.InEnumOrder.Reverse().Select(dtype => "t_" + dtype), NamesByOffset(file));
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(SafetensorsTypes.InEnumOrder.Reverse(), checkpoint.Tensors.Select(tensor => tensor.DType.Name));
    }

    [Fact]
    public async Task Commit_OneType_OrdersNamesByTheirUtf8Bytes()
    {
        // U+FF5E is EF BD 9E and U+1F600 is F0 9F 98 80; as UTF-16 the second (D83D...) would come first.
        string[] expected = ["", "A", "B", "a", "a.10", "a.2", "é", "\uff5e", "😀"];
        var file = await WriteAsync(null, [.. expected.Reverse().Select(name => (name, "U8", new long[] { 1 }, new byte[1]))]);
        Assert.Equal(expected, NamesByOffset(file));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public async Task Commit_HeaderOfAnyLength_IsPaddedWithSpacesToEightBytes(int extra)
    {
        var file = await WriteAsync(null, (new string('n', extra + 1), "F64", [1], new byte[8]));
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        Assert.Equal(0, length % 8);
        Assert.Equal(file.Length, 8 + length + 8);
        var header = Encoding.UTF8.GetString(file, 8, length);
        Assert.InRange(header.Length - header.TrimEnd(' ').Length, 0, 7);
        Assert.EndsWith("}", header.TrimEnd(' '), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commit_SameContentInAnotherOrder_GivesTheSameBytes()
    {
        (string, string, long[], byte[])[] tensors = [("x", "F32", [2], new byte[8]), ("y", "F16", [2], new byte[4]), ("w", "F32", [1], new byte[4])];
        Dictionary<string, string> forwards = new() { ["k1"] = "a", ["k2"] = "b" };
        Dictionary<string, string> backwards = new() { ["k2"] = "b", ["k1"] = "a" };
        Assert.Equal(await WriteAsync(forwards, tensors), await WriteAsync(backwards, [.. tensors.Reverse()]));
    }

    [Fact]
    public async Task Commit_NothingAtAll_IsAnEmptyObject()
    {
        Assert.Equal(SafetensorsBuilder.File("{}      "), await WriteAsync(null));
    }

    [Fact]
    public async Task Commit_OnlyMetadata_KeepsIt()
    {
        var file = await WriteAsync(new Dictionary<string, string> { ["format"] = "pt" });
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal("pt", checkpoint.Metadata["format"]);
    }

    [Fact]
    public async Task Create_SubByteTensor_HasTheShapeInLogicalElements()
    {
        var file = await WriteAsync(null, ("f4", "F4", [4, 8], new byte[16]));
        using var header = Header(file);
        Assert.Equal("[4,8]", header.RootElement.GetProperty("f4").GetProperty("shape").GetRawText());
        Assert.Equal("[0,16]", header.RootElement.GetProperty("f4").GetProperty("data_offsets").GetRawText());
    }

    [Fact]
    public async Task Create_BeforeAnyTensor_KnowsLengthAndOrder()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(
            _folder["a.safetensors"],
            [new("small", DType.U8, new Shape(3)), new("wide", DType.F64, new Shape(2))]);
        Assert.Equal(["wide", "small"], writer.Tensors.Select(tensor => tensor.Name));
        await writer.WriteAsync("wide", 0, new byte[16]);
        await writer.WriteAsync("small", 0, new byte[3]);
        await writer.CommitAsync();
        Assert.Equal(writer.Length, new FileInfo(_folder["a.safetensors"]).Length);
    }

    [Fact]
    public async Task Commit_InAFolder_AppearsWithTheFolderAndHasTheSameBytes()
    {
        var alone = await WriteAsync(null, ("a", "U8", [3], [7, 8, 9]));
        File.Delete(_folder["written.safetensors"]);
        using (var output = AtomicFolder.Create(_folder["d"]))
        {
            await using (var writer = await SafetensorsWriter.CreateAsync(output, "a.safetensors", [new("a", DType.U8, new Shape(3))]))
            {
                await writer.WriteAsync("a", 0, new byte[] { 7, 8, 9 });
                await writer.CommitAsync();
            }

            Assert.False(Directory.Exists(_folder["d"]));
            output.Commit();
        }

        Assert.Equal(alone, await File.ReadAllBytesAsync(_folder["d/a.safetensors"]));
        Assert.Equal([_folder["d"]], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Write_OutOfOrderAndFromSeveralThreads_PutsEveryByteInItsPlace()
    {
        const int tensors = 8;
        const int pieces = 16;
        const int pieceBytes = 1000;
        var contents = Enumerable.Range(0, tensors).ToDictionary(t => $"t{t}", t =>
        {
            var content = new byte[pieces * pieceBytes];
            new Random(t).NextBytes(content);
            return content;
        });
        await using (var writer = await SafetensorsWriter.CreateAsync(
            _folder["a.safetensors"], contents.Select(pair => new SafetensorsTensor(pair.Key, DType.U8, new Shape(pair.Value.Length)))))
        {
            var work = contents.Keys.SelectMany(name => Enumerable.Range(0, pieces).Select(piece => (name, piece))).ToArray();
            new Random(1).Shuffle(work);
            await Parallel.ForEachAsync(work, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (item, token) =>
                await writer.WriteAsync(
                    item.name, item.piece * pieceBytes, contents[item.name].AsMemory(item.piece * pieceBytes, pieceBytes), token));
            await writer.CommitAsync();
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder["a.safetensors"]);
        foreach (var (name, content) in contents)
        {
            var read = new byte[content.Length];
            await checkpoint[name].File.Source.ReadExactlyAsync(checkpoint[name].Offset, read);
            Assert.Equal(content, read);
        }
    }

    private async Task<byte[]> WriteAsync(
        Dictionary<string, string>? metadata, params (string Name, string DType, long[] Shape, byte[] Bytes)[] tensors)
    {
        var path = _folder["written.safetensors"];
        await using (var writer = await SafetensorsWriter.CreateAsync(
            path, tensors.Select(tensor => new SafetensorsTensor(tensor.Name, Enum.Parse<DType>(tensor.DType), new Shape(tensor.Shape))), metadata))
        {
            foreach (var (name, _, _, bytes) in tensors)
            {
                await writer.WriteAsync(name, 0, bytes);
            }

            await writer.CommitAsync();
        }

        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
        return await File.ReadAllBytesAsync(path);
    }

    private static JsonDocument Header(byte[] file) =>
        JsonDocument.Parse(file.AsMemory(8, (int)BinaryPrimitives.ReadUInt64LittleEndian(file)));

    private static string[] NamesByOffset(byte[] file)
    {
        using var header = Header(file);
        return [.. header.RootElement.EnumerateObject()
            .OrderBy(tensor => tensor.Value.GetProperty("data_offsets")[0].GetInt64())
            .Select(tensor => tensor.Name)];
    }
}
