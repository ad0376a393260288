using System.IO.Compression;
using System.Text;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using TorchTensor = IlgpuLoader.Formats.Torch.TorchTensor;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What the writer makes, as PyTorch itself loads it and as a zip archive of the framework shows it.</summary>
public sealed class TorchWriterTests : IDisposable
{
    // Those that PyTorch 1.13 has, by its names.
    private static readonly (DType DType, string Name)[] OldTypes =
    [
        (DType.F64, "float64"), (DType.F32, "float32"), (DType.F16, "float16"), (DType.BF16, "bfloat16"), (DType.I64, "int64"),
        (DType.I32, "int32"), (DType.I16, "int16"), (DType.I8, "int8"), (DType.U8, "uint8"), (DType.BOOL, "bool"),
        (DType.C64, "complex64"), (DType.C128, "complex128"),
    ];

    private static readonly (DType DType, string Name)[] NewTypes =
    [
        (DType.F8_E4M3, "float8_e4m3fn"), (DType.F8_E5M2, "float8_e5m2"), (DType.F8_E8M0, "float8_e8m0fnu"),
        (DType.F8_E4M3FNUZ, "float8_e4m3fnuz"), (DType.F8_E5M2FNUZ, "float8_e5m2fnuz"),
        (DType.U16, "uint16"), (DType.U32, "uint32"), (DType.U64, "uint64"), (DType.C32, "complex32"),
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [PythonTorchFact]
    public async Task Write_EveryTypeAndManyShapes_LoadsInPyTorchBitForBit()
    {
        Shape[] shapes = [new(), new(0), new(1), new(7), new(3, 5), new(2, 0, 3), new(2, 3, 4), new(2, 1, 3, 1, 2), new(300), new(1, 70_000)];
        var tensors = OldTypes.SelectMany(type => shapes.Select((shape, i) => new TorchTensor($"{type.Name}.größe.{i}", type.DType, shape))).ToArray();
        await AssertLoadsAsync("types.pt", tensors);
    }

    [PythonTorchFact]
    public async Task Write_ThousandsOfTensorsWithTies_LoadsInPyTorchWithSharedStorages()
    {
        var tensors = Enumerable.Range(0, 2500).Select(i => new TorchTensor($"layers.{i}.weight", DType.I16, new(2, 1 + (i % 3)))
        {
            TiedTo = i % 7 == 6 ? $"layers.{i - 3}.weight" : null,
        });
        await AssertLoadsAsync("ties.bin", tensors);
    }

    [PythonTorchFact]
    public async Task Write_OddNamesAndNothing_LoadsInPyTorch()
    {
        await AssertLoadsAsync("nothing.pt", []);
        string[] names = ["", ".", "a\0b", "storage", "cpu", "😀", "data.pkl", "../up", new('n', 70_000), "line\nbreak"];
        await AssertLoadsAsync("names.pt", names.Select(name => new TorchTensor(name, DType.F32, new(2))));
    }

    // PyTorch 1.13 has neither _rebuild_tensor_v3 nor these dtypes. A stand-in for both takes down what the unpickler passes,
    // which is what later versions get.
    [PythonTorchFact]
    public async Task Write_TypesOfLaterVersions_PassesBytesAndDtypeToTheirRebuildFunction()
    {
        const string script = """
            import json, sys, torch
            calls = []
            class Rebuilt: pass
            def rebuild(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
                assert requires_grad is False and len(hooks) == 0 and metadata is None
                raw = storage.untyped() if hasattr(storage, 'untyped') else storage
                calls.append([dtype, offset, list(size), list(stride), bytes(raw.tolist()).hex()])
                return Rebuilt()
            torch._utils._rebuild_tensor_v3 = rebuild
            for name in sys.argv[2:]:
                setattr(torch, name, name)
            loaded = torch.load(sys.argv[1], weights_only=False)
            assert type(loaded) is dict and all(type(t) is Rebuilt for t in loaded.values())
            print(json.dumps([[name] + call for name, call in zip(loaded, calls)]))
            """;
        var tensors = NewTypes.Select(type => new TorchTensor(type.Name, type.DType, new(3, 2))).ToArray();
        var contents = await WriteAsync("new.pt", tensors);
        var loaded = await PythonTorch.RunAsync(script, [_folder["new.pt"], .. NewTypes.Select(type => type.Name)]);
        Assert.Equal(
            tensors.Select(tensor => $"""["{tensor.Name}", "{tensor.Name}", 0, [3, 2], [2, 1], "{Convert.ToHexStringLower(contents[tensor.Name])}"]"""),
            loaded.EnumerateArray().Select(entry => entry.GetRawText()));
    }

    [Fact]
    public async Task Write_AnyTensors_HasTheRecordsOfPyTorchInItsOrder()
    {
        var contents = await WriteAsync(
            "records.pt",
            [new("a", DType.F32, new(2, 3)), new("tied", DType.F32, new(2, 3)) { TiedTo = "a" }, new("b", DType.U8, new(5)), new("c", DType.F8_E4M3, new(4))]);
        using var archive = ZipFile.OpenRead(_folder["records.pt"]);
        Assert.Equal(
            ["archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/data/1", "archive/data/2", "archive/version", "archive/.data/serialization_id"],
            archive.Entries.Select(entry => entry.FullName));
        Assert.Equal("little", Encoding.ASCII.GetString(Unpack(archive, "archive/byteorder")));
        Assert.Equal("3\n", Encoding.ASCII.GetString(Unpack(archive, "archive/version")));
        Assert.Matches("^[0-9]{40}$", Encoding.ASCII.GetString(Unpack(archive, "archive/.data/serialization_id")));
        Assert.Equal(contents["a"], Unpack(archive, "archive/data/0"));
        Assert.Equal(contents["b"], Unpack(archive, "archive/data/1"));
        Assert.Equal(contents["c"], Unpack(archive, "archive/data/2"));
    }

    [Fact]
    public async Task Write_TheSameTwice_GivesTheSameBytes()
    {
        TorchTensor[] tensors = [new("a", DType.F32, new(2, 3)), new("b", DType.BF16, new(5))];
        await WriteAsync("one.pt", tensors);
        await WriteAsync("two.pt", tensors);
        Assert.Equal(await File.ReadAllBytesAsync(_folder["one.pt"]), await File.ReadAllBytesAsync(_folder["two.pt"]));
    }

    // As many tensors as the largest archive may have records with a plain name each, and as much data as the smallest tensors of a
    // real model have.
    [Fact]
    public async Task Write_AsManyTensorsAsAnArchiveMayHave_OpensByTheDefaults()
    {
        TorchTensor[] tensors = [.. Enumerable.Range(0, 131_072).Select(i => new TorchTensor(LongName(i, 100), DType.F32, new(16, 32)))];
        await WriteZerosAsync("many.pt", tensors);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["many.pt"]);
        Assert.Equal(tensors.Select(tensor => tensor.Name), checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    // Tiny tensors make a file that is all description, which must not cost more memory than a hostile one may. Whatever the
    // writer takes the reader takes.
    [Theory]
    [InlineData(8, 1, false)]
    [InlineData(50, 2, false)]
    [InlineData(300, 4, false)]
    [InlineData(8, 1, true)]
    [InlineData(50, 2, true)]
    public async Task Write_AsManyTinyTensorsAsTheWriterTakes_OpensByTheDefaults(int nameLength, int rank, bool isTied)
    {
        var (taken, refused) = (1000, 262_144);
        while (refused - taken > 500)
        {
            var middle = (taken + refused) / 2;
            try
            {
                await TorchWriter.Create(_folder["tiny.pt"], Tensors(middle)).DisposeAsync();
                taken = middle;
            }
            catch (CheckpointLimitException exception)
            {
                Assert.Equal("the number of shards", exception.Option);
                refused = middle;
            }
        }

        Assert.InRange(taken, 10_000, 250_000);
        var tensors = Tensors(taken);
        await WriteZerosAsync("tiny.pt", tensors);
        var bytes = await File.ReadAllBytesAsync(_folder["tiny.pt"]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = Checkpoint.OpenAsync(new MemorySource(bytes, "tiny.pt"));
        // A source in memory is read on this thread, so what is counted is all there was.
        Assert.True(opening.IsCompleted);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        await using var checkpoint = await opening;
        Assert.InRange(allocated, 0, bytes.Length + BoundedOpening.AllocationBound);
        Assert.Equal(taken, checkpoint.Tensors.Length);
        Assert.Equal(tensors.Count(tensor => tensor.TiedTo is not null), checkpoint.Tensors.Count(tensor => tensor.TiedTo is not null));

        TorchTensor[] Tensors(int count) =>
        [
            .. Enumerable.Range(0, count).Select(i => new TorchTensor(LongName(i, nameLength), DType.F32, new([.. Enumerable.Repeat(1L, rank)]))
            {
                TiedTo = isTied && i > 0 ? LongName(0, nameLength) : null,
            }),
        ];
    }

    private static string LongName(int index, int length) => $"{index}".PadLeft(length, '.');

    private async Task WriteZerosAsync(string name, IReadOnlyList<TorchTensor> tensors)
    {
        await using var writer = TorchWriter.Create(_folder[name], tensors);
        var zeros = new byte[1 << 16];
        foreach (var tensor in tensors.Where(tensor => tensor.TiedTo is null))
        {
            writer.Write(tensor.Name, 0, zeros.AsSpan(0, (int)tensor.DType.ByteCount(tensor.Shape.ElementCount)));
        }

        await writer.CommitAsync();
    }

    [Fact]
    public void Create_TypeThatPyTorchHasNot_Throws()
    {
        var known = OldTypes.Concat(NewTypes).Select(type => type.DType).ToHashSet();
        foreach (var dtype in Enum.GetValues<DType>())
        {
            var tensor = new TorchTensor("a", dtype, new(dtype.BlockLength));
            Assert.Equal(known.Contains(dtype), TorchWriter.Objection(tensor) is null);
            if (!known.Contains(dtype))
            {
                var exception = Assert.Throws<ArgumentException>(() => Discard(TorchWriter.Create(_folder["bad.pt"], [tensor])));
                Assert.Contains(dtype.Name, exception.Message, StringComparison.Ordinal);
            }
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Create_NamesOrTiesThatCannotBe_Throws()
    {
        TorchTensor[][] wrong =
        [
            [new("a\ud800", DType.F32, new(1))],
            [new("a", DType.F32, new(1)), new("a", DType.F32, new(2))],
            [new("a", DType.F32, new(1)) { TiedTo = "a" }],
            [new("a", DType.F32, new(1)) { TiedTo = "b" }],
            [new("a", DType.F32, new(1)) { TiedTo = "b" }, new("b", DType.F32, new(2))],
            [new("a", DType.F32, new(1)) { TiedTo = "b" }, new("b", DType.I32, new(1))],
            [new("a", DType.F32, new(1)) { TiedTo = "b" }, new("b", DType.F32, new(1)) { TiedTo = "c" }, new("c", DType.F32, new(1))],
            [new("a", DType.F64, new(long.MaxValue / 8)), new("b", DType.F64, new(long.MaxValue / 8))],
        ];
        foreach (var tensors in wrong)
        {
            Assert.Throws<ArgumentException>(() => Discard(TorchWriter.Create(_folder["bad.pt"], tensors)));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Commit_TensorNotWritten_ThrowsAndLeavesNothing()
    {
        await using (var writer = TorchWriter.Create(_folder["part.pt"], [new("a", DType.F32, new(4)), new("b", DType.F32, new(4))]))
        {
            await writer.WriteAsync("a", 0, new byte[16]);
            await writer.WriteAsync("b", 0, new byte[15]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
            Assert.Contains("15 of 16 bytes of tensor 'b'", exception.Message, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Write_TiedTensor_Throws()
    {
        await using var writer = TorchWriter.Create(_folder["tied.pt"], [new("a", DType.F32, new(1)), new("b", DType.F32, new(1)) { TiedTo = "a" }]);
        Assert.Throws<ArgumentException>(() => writer.Write("b", 0, new byte[4]));
    }

    private async Task AssertLoadsAsync(string name, IEnumerable<TorchTensor> tensors)
    {
        TorchTensor[] all = [.. tensors];
        var contents = await WriteAsync(name, all);
        var loaded = await LoadedByTorch.LoadAsync(_folder[name]);
        Assert.Equal(all.Select(tensor => tensor.Name), loaded.Select(tensor => tensor.Name));
        var byName = loaded.ToDictionary(tensor => tensor.Name);
        var names = OldTypes.ToDictionary(type => type.DType, type => $"torch.{type.Name}");
        foreach (var tensor in all)
        {
            var actual = byName[tensor.Name];
            Assert.Equal(names[tensor.DType], actual.DType);
            Assert.Equal(tensor.Shape.Dimensions.ToArray(), actual.Shape);
            Assert.Equal(0, actual.Offset);
            Assert.Equal(Convert.ToHexStringLower(contents[tensor.TiedTo ?? tensor.Name]), actual.Bytes);
            if (tensor.TiedTo is { } target)
            {
                Assert.Equal(byName[target].Storage, actual.Storage);
            }
        }

        Assert.Equal(all.Count(tensor => tensor.TiedTo is null), loaded.Select(tensor => tensor.Storage).Distinct().Count());
    }

    // Every bit pattern there is, NaN among them; truth values are 0 and 1.
    private async Task<Dictionary<string, byte[]>> WriteAsync(string name, IReadOnlyList<TorchTensor> tensors)
    {
        var random = new Random(11);
        var contents = new Dictionary<string, byte[]>();
        await using var writer = TorchWriter.Create(_folder[name], tensors);
        Assert.Equal(tensors, writer.Tensors);
        foreach (var tensor in tensors.Where(tensor => tensor.TiedTo is null).Reverse())
        {
            var bytes = new byte[tensor.DType.ByteCount(tensor.Shape.ElementCount)];
            random.NextBytes(bytes);
            if (tensor.DType == DType.BOOL)
            {
                bytes = [.. bytes.Select(value => (byte)(value & 1))];
            }

            contents.Add(tensor.Name, bytes);
            writer.Write(tensor.Name, bytes.Length / 2, bytes.AsSpan(bytes.Length / 2));
            await writer.WriteAsync(tensor.Name, 0, bytes.AsMemory(0, bytes.Length / 2));
        }

        await writer.CommitAsync();
        Assert.Equal(new FileInfo(_folder[name]).Length, writer.Length);
        return contents;
    }

    private static byte[] Unpack(ZipArchive archive, string name)
    {
        using var stream = archive.GetEntry(name)!.Open();
        using var output = new MemoryStream();
        stream.CopyTo(output);
        return output.ToArray();
    }

    // The analysers take a lambda that gives something asynchronous for a mistake.
    private static void Discard(object value) => GC.KeepAlive(value);
}
