using System.Buffers.Binary;
using System.Text;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The bytes that the writer makes: formats.md section 2, and what ggml's own writers make of the same content.</summary>
public sealed class GgufWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Target => _folder["a.gguf"];

    public static TheoryData<string> Files => [.. GgufManifest.FileNames];

    [Fact]
    public async Task Commit_TwoTensors_HasExactlyTheBytesOfTheFormat()
    {
        await using (var writer = await GgufWriter.CreateAsync(
            Target,
            [new("b", DType.I8, new Shape(3)), new("é", DType.F32, new Shape(1, 2))],
            [KeyValuePair.Create<string, object>("k", "v"), KeyValuePair.Create<string, object>("n", GgufArray.Create<short>(-2))]))
        {
            await writer.WriteAsync("b", 0, new byte[] { 7, 8, 9 });
            writer.Write("é", 0, [1, 2, 3, 4, 5, 6, 7, 8]);
            await writer.CommitAsync();
            Assert.Equal((new FileInfo(Target).Length, 32), (writer.Length, writer.Alignment));
        }

        using var expected = new MemoryStream();
        using var file = new BinaryWriter(expected);
        file.Write("GGUF"u8);
        file.Write(3);
        file.Write(2L);
        file.Write(2L);
        Text("k");
        file.Write(8);
        Text("v");
        Text("n");
        file.Write(9);
        file.Write(3);
        file.Write(1L);
        file.Write((short)-2);
        Text("b");
        file.Write(1);
        file.Write(3L);
        file.Write(24);
        file.Write(0L);
        // The fastest dimension first; the second tensor begins behind the padding of the first.
        Text("é");
        file.Write(2);
        file.Write(2L);
        file.Write(1L);
        file.Write(0);
        file.Write(32L);
        Pad();
        file.Write([7, 8, 9]);
        Pad();
        file.Write([1, 2, 3, 4, 5, 6, 7, 8]);
        Pad();
        Assert.Equal(expected.ToArray(), await File.ReadAllBytesAsync(Target));

        void Text(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            file.Write((long)bytes.Length);
            file.Write(bytes);
        }

        void Pad() => file.Write(new byte[-expected.Length & 31]);
    }

    // Of version 3 and little-endian, the whole file: ggml and gguf-py wrote these, padding and all.
    [Theory]
    [MemberData(nameof(Files))]
    public async Task Commit_ContentOfAGoldenFile_GivesItsBytesOrItsContent(string name)
    {
        var golden = GoldenArchive.Read(GgufManifest.Set, name);
        await using var source = await GgufOpening.AcceptedAsync(golden);
        var header = Assert.IsType<GgufHeader>(source.Files[0].Header);
        await CopyAsync(source);
        var written = await File.ReadAllBytesAsync(Target);
        if (header is { Version: 3, IsBigEndian: false })
        {
            Assert.Equal(golden, written);
        }

        await using var copy = await GgufOpening.AcceptedAsync(written);
        var again = Assert.IsType<GgufHeader>(copy.Files[0].Header);
        Assert.Equal((3, false, header.Alignment), (again.Version, again.IsBigEndian, again.Alignment));
        Assert.Equal(header.Keys.ToArray(), again.Keys.ToArray());
        Assert.All(header.Keys, key => Assert.Equal(header.Metadata[key], again.Metadata[key]));
        Assert.Equal(source.Tensors.Select(tensor => tensor.ToString()), copy.Tensors.Select(tensor => tensor.ToString()));
        foreach (var tensor in source.Tensors)
        {
            Assert.Equal(await GgufOpening.BytesAsync(tensor), await GgufOpening.BytesAsync(copy[tensor.Name]));
        }
    }

    [Fact]
    public async Task Commit_EveryTypeOfMetadata_ComesBackInItsOwnType()
    {
        object[] values =
        [
            byte.MaxValue, sbyte.MinValue, ushort.MaxValue, short.MinValue, uint.MaxValue, int.MinValue, ulong.MaxValue, long.MinValue,
            -0f, BitConverter.Int32BitsToSingle(0x7F81_2345), double.Epsilon, BitConverter.Int64BitsToDouble(-1), true, false, "", "a\0é😀",
            GgufArray.Create<bool>(true, false), GgufArray.Create<ulong>(), GgufArray.Create(["", "token"]),
            GgufArray.Create([GgufArray.Create([GgufArray.Create(["deep"])]), GgufArray.Create<double>(double.NaN)]),
        ];
        await using (var writer = await GgufWriter.CreateAsync(Target, [], values.Select((value, i) => KeyValuePair.Create($"k{i}", value))))
        {
            await writer.CommitAsync();
        }

        await using var checkpoint = await GgufOpening.AcceptedAsync(await File.ReadAllBytesAsync(Target));
        var header = Assert.IsType<GgufHeader>(checkpoint.Files[0].Header);
        Assert.Equal(values.Select((_, i) => $"k{i}"), header.Keys.ToArray());
        for (var i = 0; i < values.Length; i++)
        {
            var value = header.Metadata[$"k{i}"];
            Assert.Same(values[i].GetType(), value.GetType());
            Assert.Equal(Bits(values[i]), Bits(value));
        }

        static object Bits(object value) => value switch
        {
            float number => BitConverter.SingleToInt32Bits(number),
            double number => BitConverter.DoubleToInt64Bits(number),
            _ => value,
        };
    }

    [Theory]
    [InlineData(null, null, 32, new string[0])]
    [InlineData(null, 32, 32, new string[0])]
    [InlineData(null, 64, 64, new[] { "general.alignment" })]
    [InlineData(null, 1, 1, new[] { "general.alignment" })]
    [InlineData(128u, null, 128, new[] { "general.alignment" })]
    [InlineData(128u, 32, 32, new[] { "general.alignment" })]
    [InlineData(128u, 1 << 20, 1 << 20, new[] { "general.alignment" })]
    public async Task Create_Alignment_HoldsAndIsWhatTheMetadataSays(uint? inMetadata, int? asked, int expected, string[] added)
    {
        KeyValuePair<string, object>[] alignment = inMetadata is { } given ? [KeyValuePair.Create<string, object>("general.alignment", given)] : [];
        await using (var writer = await GgufWriter.CreateAsync(
            Target,
            [new("a", DType.I8, new Shape(5)), new("empty", DType.F32, new Shape(0, 3)), new("scalar", DType.F16, Shape.Scalar)],
            [.. alignment, KeyValuePair.Create<string, object>("last", "one")],
            asked))
        {
            Assert.Equal(expected, writer.Alignment);
            await writer.WriteAsync("a", 0, new byte[] { 1, 2, 3, 4, 5 });
            await writer.WriteAsync("scalar", 0, new byte[] { 6, 7 });
            await writer.CommitAsync();
        }

        await using var checkpoint = await GgufOpening.AcceptedAsync(await File.ReadAllBytesAsync(Target));
        var header = Assert.IsType<GgufHeader>(checkpoint.Files[0].Header);
        Assert.Equal(expected, header.Alignment);
        // Where the key was, it stays; where it was not, it comes behind the others.
        string[] keys = inMetadata is null ? ["last", .. added] : [.. added, "last"];
        Assert.Equal(keys, header.Keys.ToArray());
        Assert.All(checkpoint.Tensors, tensor => Assert.Equal(0, tensor.Offset % expected));
        Assert.Equal(Shape.Scalar, checkpoint["scalar"].Shape);
        Assert.Equal([0, 3], checkpoint["empty"].Shape);
        Assert.Equal([6, 7], await GgufOpening.BytesAsync(checkpoint["scalar"]));
        Assert.Equal(0, checkpoint.Files[0].Length % expected);
    }

    [Fact]
    public async Task Write_OutOfOrderAndFromSeveralThreads_PutsEveryByteInItsPlace()
    {
        const int pieceBytes = 999;
        var contents = Enumerable.Range(0, 8).ToDictionary(t => $"t{t}", t =>
        {
            var content = new byte[16 * pieceBytes];
            new Random(t).NextBytes(content);
            return content;
        });
        await using (var writer = await GgufWriter.CreateAsync(
            Target, contents.Select(pair => new GgufTensor(pair.Key, DType.I8, new Shape(pair.Value.Length)))))
        {
            var work = contents.Keys.SelectMany(name => Enumerable.Range(0, 16).Select(piece => (name, piece))).ToArray();
            new Random(1).Shuffle(work);
            await Parallel.ForEachAsync(work, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (item, token) =>
                await writer.WriteAsync(item.name, item.piece * pieceBytes, contents[item.name].AsMemory(item.piece * pieceBytes, pieceBytes), token));
            await writer.CommitAsync();
        }

        await using var checkpoint = await Checkpoint.OpenAsync(Target);
        Assert.Equal(contents.Keys, checkpoint.Tensors.Select(tensor => tensor.Name));
        foreach (var (name, content) in contents)
        {
            Assert.Equal(content, await GgufOpening.BytesAsync(checkpoint[name]));
        }
    }

    [Fact]
    public async Task Commit_InAFolder_AppearsWithTheFolder()
    {
        using (var output = AtomicFolder.Create(_folder["d"]))
        {
            await using (var writer = await GgufWriter.CreateAsync(output, "a.gguf", [new("a", DType.I8, new Shape(3))]))
            {
                await writer.WriteAsync("a", 0, new byte[] { 7, 8, 9 });
                await writer.CommitAsync();
            }

            Assert.False(Directory.Exists(_folder["d"]));
            output.Commit();
        }

        Assert.Equal([_folder["d"]], Directory.GetFileSystemEntries(_folder.Path));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["d"]);
        Assert.Equal([7, 8, 9], await GgufOpening.BytesAsync(checkpoint["a"]));
    }

    [Fact]
    public void OfPart_ModelThatWasSplitBefore_HasItsOwnNumbersOnly()
    {
        KeyValuePair<string, object>[] metadata =
        [
            new("split.no", (ushort)1), new("general.architecture", "llama"), new("split.tensors.count", 9), new("general.alignment", 64u), new("split.count", (ushort)2),
        ];
        Assert.Equal(["general.architecture=llama", "general.alignment=64"], Lines(GgufFileKeys.OfPart(metadata, 0, 1, 9)));
        string[] split = ["split.count=3", "split.tensors.count=12"];
        Assert.Equal(["general.architecture=llama", "general.alignment=64", "split.no=0", .. split], Lines(GgufFileKeys.OfPart(metadata, 0, 3, 12)));
        Assert.Equal(["general.alignment=64", "split.no=2", .. split], Lines(GgufFileKeys.OfPart(metadata, 2, 3, 12)));
        // The types that llama.cpp asks for.
        Assert.Equal([typeof(ushort), typeof(ushort), typeof(int)], GgufFileKeys.OfPart([], 0, 2, 5).Select(entry => entry.Value.GetType()));
        Assert.Throws<ArgumentOutOfRangeException>(() => GgufFileKeys.OfPart([], 3, 3, 12));
        Assert.Throws<ArgumentOutOfRangeException>(() => GgufFileKeys.OfPart([], 0, 65_536, 70_000));

        static IEnumerable<string> Lines(IEnumerable<KeyValuePair<string, object>> entries) => entries.Select(entry => $"{entry.Key}={entry.Value}");
    }

    [Fact]
    public async Task Commit_TensorWithoutTheEndOfItsBlockOfPadding_PadsBehindTheLast()
    {
        await using (var writer = await GgufWriter.CreateAsync(Target, [new("a", DType.Q4_0, new Shape(2, 32))]))
        {
            await writer.WriteAsync("a", 0, Enumerable.Repeat((byte)0xFF, 36).ToArray());
            await writer.CommitAsync();
        }

        var file = await File.ReadAllBytesAsync(Target);
        Assert.Equal(3u, BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(4)));
        Assert.Equal([.. Enumerable.Repeat((byte)0xFF, 36), .. new byte[28]], file[^64..]);
    }

    private async Task CopyAsync(Checkpoint source)
    {
        var header = (GgufHeader)source.Files[0].Header!;
        await using var writer = await GgufWriter.CreateAsync(
            Target,
            source.Tensors.Select(tensor => new GgufTensor(tensor.Name, tensor.DType, tensor.Shape)),
            header.Keys.Select(key => KeyValuePair.Create(key, header.Metadata[key])));
        foreach (var tensor in source.Tensors.Reverse())
        {
            await writer.WriteAsync(tensor.Name, 0, await GgufOpening.BytesAsync(tensor));
        }

        await writer.CommitAsync();
    }
}
