using System.IO.Compression;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Archives of arrays: stored, deflated and both, of NumPy and made by hand.</summary>
public sealed class NpzReaderTests
{
    [Theory]
    [InlineData("stored", 5)]
    [InlineData("deflated", 4)]
    public async Task Read_GoldenArchive_HasTheValuesOfTheManifest(string name, int count)
    {
        var bytes = GoldenArchive.Read(NumpyManifest.Set, $"npy/{name}.npz");
        foreach (var source in new IByteSource[] { new MemorySource(bytes, NpzOpening.Path), new ShortReadSource(new MemorySource(bytes, NpzOpening.Path), 5) })
        {
            var content = await NpzOpening.ReadAsync(source);
            Assert.Equal(count, content.Tensors.Count);
            Assert.Empty(content.Warnings);
            Assert.Equal(bytes.Length, content.File!.Length);
            foreach (var tensor in content.Tensors)
            {
                Assert.Same(content.File, tensor.File);
                await NpyGoldenTests.CheckAsync(tensor.Name, tensor, NumpyManifest.Arrays[tensor.Name]);
            }

            await content.File.Source.DisposeAsync();
        }
    }

    [Fact]
    public async Task Read_StoredArrays_LieWhereTheyAreInTheFile()
    {
        var bytes = GoldenArchive.Read(NumpyManifest.Set, "npy/stored.npz");
        var content = await NpzOpening.ReadAsync(bytes);
        var tensor = content.Tensors.Single(tensor => tensor.Name == "c_f4");
        Assert.True(tensor.Offset + tensor.ByteLength <= bytes.Length);
        Assert.Equal(bytes.Length, content.File!.Source.Length);
        Assert.True(content.File.Source is ISynchronousByteSource);
        Assert.Equal(NpyFile.Golden(NumpyManifest.Set, "npy/c_f4.npy").Data, bytes.AsMemory((int)tensor.Offset, (int)tensor.ByteLength));
        Assert.Equal(content.Tensors.Select(one => one.Offset).Order(), content.Tensors.Select(one => one.Offset));
    }

    [Fact]
    public async Task Read_StoredAndDeflatedOfBothByteOrders_GivesEveryValue()
    {
        var numbers = Enumerable.Range(0, 600).Select(i => (byte)(i * 7)).ToArray();
        var bytes = new ZipBuilder()
            .Add("z/deflated.npy", NpzOpening.Array("<u4", "(150,)", numbers), record => record.Deflate())
            .Add("b.npy", NpzOpening.Array(">u4", "(150,)", numbers))
            .Add("a.npy", NpzOpening.Array(">u2", "(300,)", numbers), record => record.Deflate())
            .Add("c.npy", NpzOpening.Array("|u1", "(600,)", numbers))
            .ToBytes();
        var content = await NpzOpening.ReadAsync(bytes);
        Assert.Equal(["b", "c", "z/deflated", "a"], content.Tensors.Select(tensor => tensor.Name));
        var expected = new Dictionary<string, byte[]>
        {
            ["b"] = [.. numbers.Chunk(4).SelectMany(number => number.Reverse())],
            ["c"] = numbers,
            ["z/deflated"] = numbers,
            ["a"] = [.. numbers.Chunk(2).SelectMany(number => number.Reverse())],
        };
        foreach (var tensor in content.Tensors)
        {
            Assert.Equal(expected[tensor.Name], await ElementWalk.ReadAsync(tensor));
        }

        Assert.Equal(bytes.Length, content.File!.Length);
        Assert.True(content.File.Source.Length > bytes.Length);
    }

    [Fact]
    public async Task Read_ArchiveOfTheFramework_GivesEveryValue()
    {
        using var stream = new MemoryStream();
        var data = Enumerable.Range(0, 100_000).Select(i => (byte)(i / 300)).ToArray();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            await using var entry = await archive.CreateEntry("weights.npy", CompressionLevel.SmallestSize).OpenAsync();
            await entry.WriteAsync(NpzOpening.Array("|i1", "(100, 1000)", data));
        }

        var tensor = Assert.Single((await NpzOpening.ReadAsync(stream.ToArray())).Tensors);
        Assert.Equal((DType.I8, new Shape(100, 1000)), (tensor.DType, tensor.Shape));
        Assert.Equal(data, await ElementWalk.ReadAsync(tensor));
    }

    [Fact]
    public async Task Read_OtherEntries_AreLeftOutWithAWarning()
    {
        var content = await NpzOpening.ReadAsync(new ZipBuilder()
            .Add("notes.txt", [1])
            .Add("w.npy", NpzOpening.Array("<f4", "(1,)", new byte[4]))
            .Add("folder/", [])
            .ToBytes());
        Assert.Equal("w", Assert.Single(content.Tensors).Name);
        var warning = Assert.Single(content.Warnings);
        Assert.Contains("'notes.txt'", warning, StringComparison.Ordinal);
        Assert.DoesNotContain("folder", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_TypesThatNumpyLacks_AreThoseOfTheRecord()
    {
        var data = Enumerable.Range(0, 16).Select(i => (byte)i).ToArray();
        var content = await NpzOpening.ReadAsync(new ZipBuilder()
            .Add("a.npy", NpzOpening.Array("<V2", "(2, 4)", data))
            .Add("b.npy", NpzOpening.Array("|V1", "(16,)", data), record => record.Deflate())
            .Add("c.npy", NpzOpening.Array("<f4", "(4,)", data))
            .Add("dtypes.json", """{"a": "BF16", "b": "F8_E4M3", "c": "C32"}"""u8.ToArray())
            .ToBytes());
        Assert.Equal([("a", DType.BF16), ("c", DType.F32), ("b", DType.F8_E4M3)], content.Tensors.Select(tensor => (tensor.Name, tensor.DType)));
        Assert.All(content.Tensors, tensor => Assert.Equal(data, ElementWalk.ReadAsync(tensor).GetAwaiter().GetResult()));
        Assert.Contains("'c'", Assert.Single(content.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": ", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": \"BF16\"} {", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": \"BF16\"", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": {\"b\": \"BF16\"}}", CheckpointErrorCode.UnknownDType)]
    [InlineData("{\"\\ud800\": \"BF16\"}", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": \"BF16\", \"a\": \"BF16\"}", CheckpointErrorCode.MetadataInvalid)]
    [InlineData("{\"a\": \"bfloat16\"}", CheckpointErrorCode.UnknownDType)]
    [InlineData("{\"a\": 3}", CheckpointErrorCode.UnknownDType)]
    [InlineData("{\"a\": \"Q4_0\"}", CheckpointErrorCode.UnknownDType)]
    [InlineData("{\"a\": \"F4\"}", CheckpointErrorCode.UnknownDType)]
    [InlineData("{\"a\": \"F8_E5M2\"}", CheckpointErrorCode.SizeMismatch)]
    public async Task Read_RecordOfTypesThatIsWrong_Throws(string json, CheckpointErrorCode code)
    {
        var bytes = new ZipBuilder()
            .Add("a.npy", NpzOpening.Array("<V2", "(2,)", new byte[4]))
            .Add("dtypes.json", System.Text.Encoding.UTF8.GetBytes(json))
            .ToBytes();
        Assert.Equal(code, (await NpzOpening.RefusedAsync<InvalidCheckpointException>(bytes)).Code);
    }

    [Fact]
    public async Task Read_VoidWithoutARecord_IsRefused()
    {
        var bytes = new ZipBuilder().Add("a.npy", NpzOpening.Array("<V2", "(2,)", new byte[4])).ToBytes();
        var exception = await NpzOpening.RefusedAsync<UnsupportedCheckpointException>(bytes);
        Assert.Equal(("a", "bytes without a meaning"), (exception.Tensor, exception.Feature));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(40)]
    public async Task Read_LargerRecordOfTypesThanItsArraysNeed_ThrowsBeforeItIsRead(int voids)
    {
        // A thousand arrays that need no type allow nothing.
        var builder = new ZipBuilder();
        for (var i = 0; i < 1000; i++)
        {
            builder.Add($"{i}.npy", NpzOpening.Array(i < voids ? "<V2" : "<f2", "(1,)", new byte[2]));
        }

        var spaces = Enumerable.Repeat((byte)' ', 8 << 20).ToArray();
        var bytes = builder.Add("dtypes.json", [.. "{}"u8, .. spaces], record => record.Deflate()).ToBytes();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var reading = NpzOpening.ReadAsync(bytes);
        Assert.True(reading.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
        var exception = await NpzOpening.RefusedAsync<InvalidCheckpointException>(bytes);
        Assert.Equal(CheckpointErrorCode.MetadataInvalid, exception.Code);
        Assert.Contains($"{voids} arrays", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_RecordOfTypesWithEveryCharacterEscaped_IsRead()
    {
        var name = new string('ü', 300);
        var escaped = string.Concat(Enumerable.Repeat("\\u00fc", 300));
        var content = await NpzOpening.ReadAsync(new ZipBuilder()
            .Add($"{name}.npy", NpzOpening.Array("<V2", "(1,)", new byte[2]))
            .Add("dtypes.json", System.Text.Encoding.UTF8.GetBytes($"{{\n  \"{escaped}\": \"BF16\"\n}}\n"))
            .ToBytes());
        Assert.Equal((name, DType.BF16), content.Tensors.Select(tensor => (tensor.Name, tensor.DType)).Single());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_BadArrayInside_NamesIt(bool isDeflated)
    {
        void Change(ZipRecord record)
        {
            if (isDeflated)
            {
                record.Deflate();
            }
        }

        byte[] Archive(byte[] array) => new ZipBuilder()
            .Add("good.npy", NpzOpening.Array("<f4", "(1,)", new byte[4]), Change)
            .Add("bad.npy", array, Change)
            .ToBytes();
        async Task<InvalidCheckpointException> InvalidAsync(byte[] array, CheckpointErrorCode code)
        {
            var exception = await NpzOpening.RefusedAsync<InvalidCheckpointException>(Archive(array));
            Assert.Equal((code, "bad"), (exception.Code, exception.Tensor));
            Assert.Equal(isDeflated, exception.Offset is null);
            return exception;
        }

        await InvalidAsync([], CheckpointErrorCode.HeaderTooSmall);
        await InvalidAsync([1, 2, 3], CheckpointErrorCode.UnknownFormat);
        await InvalidAsync(NpzOpening.Array("<f4", "(2,)", new byte[4]), CheckpointErrorCode.FileTruncated);
        await InvalidAsync(NpzOpening.Array("<f4", "(2,)", new byte[9]), CheckpointErrorCode.TrailingBytes);
        await InvalidAsync(NpyOpening.Array("{}", 0, version: 2, headerLength: uint.MaxValue), CheckpointErrorCode.HeaderOutOfFile);
        await InvalidAsync(NpyOpening.Array("{'descr': __import__('os')}", 0), CheckpointErrorCode.HeaderFieldInvalid);
    }

    [Theory]
    [InlineData("'<U7'", "strings", false)]
    [InlineData("'|S5'", "strings", false)]
    [InlineData("'<M8[ns]'", "dates", false)]
    [InlineData("'|O'", "Python objects", true)]
    [InlineData("[('a', '<f4'), ('b', '<i4')]", "structured", false)]
    [InlineData("[('a', '<f4'), ('b', '|O')]", "structured", true)]
    public async Task Read_ArraysOfOtherTypesBesideNumbers_AreLeftOutWithAWarning(string descriptor, string word, bool holdsPickle)
    {
        var other = NpyOpening.Array(System.Text.Encoding.ASCII.GetBytes(NpyOpening.Header(descriptor, "(1,)")), new byte[9]);
        byte[] Numbers(byte first) => NpzOpening.Array("<u2", "(2,)", [first, 1, 2, 3]);
        var archive = new ZipBuilder()
            .Add("label.npy", other)
            .Add("stored.npy", Numbers(7))
            .Add("packed-label.npy", other, record => record.Deflate())
            .Add("packed.npy", Numbers(9), record => record.Deflate());
        var content = await NpzOpening.ReadAsync(archive.ToBytes());
        Assert.Equal(["stored", "packed"], content.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([7, 1, 2, 3], await ElementWalk.ReadAsync(content.Tensors[0]));
        Assert.Equal([9, 1, 2, 3], await ElementWalk.ReadAsync(content.Tensors[1]));
        var warning = Assert.Single(content.Warnings);
        Assert.Contains("'label', 'packed-label'", warning, StringComparison.Ordinal);
        Assert.Contains(word, warning, StringComparison.Ordinal);
        Assert.Equal(holdsPickle, warning.Contains("pickle", StringComparison.Ordinal) && warning.Contains("audit", StringComparison.Ordinal));
        await content.File!.Source.DisposeAsync();

        var alone = await NpzOpening.RefusedAsync<UnsupportedCheckpointException>(new ZipBuilder().Add("first.npy", other).Add("next.npy", other).ToBytes());
        Assert.Equal("first", alone.Tensor);
        Assert.Contains(word, alone.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_EncryptedOrOtherwiseCompressedArray_IsRefused()
    {
        foreach (var (change, word) in new (Action<ZipHeader> Change, string Word)[]
        {
            (header => header.Flags |= 1, "encrypted"),
            (header => header.Method = 12, "method 12"),
        })
        {
            var bytes = new ZipBuilder()
                .Add("a.npy", NpzOpening.Array("<f4", "(1,)", new byte[4]), record => record.Both(change))
                .ToBytes();
            Assert.Contains(word, (await NpzOpening.RefusedAsync<UnsupportedCheckpointException>(bytes)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Read_BombInside_IsFoundOutBeforeItIsInflated()
    {
        // An honest one, a thousand times its size, is an array like others: nothing of it is inflated but its header.
        var zeros = NpzOpening.Array("|u1", "(2000000,)", new byte[2_000_000]);
        var honest = new ZipBuilder().Add("a.npy", zeros, record => record.Deflate()).ToBytes();
        Assert.InRange(honest.Length, 0, 4000);
        Assert.Equal(2_000_000, Assert.Single((await NpzOpening.ReadAsync(honest)).Tensors).ByteLength);

        var lying = new ZipBuilder()
            .Add("a.npy", NpzOpening.Array("|u1", "(1,)", new byte[1]), record =>
            {
                record.Deflate();
                record.Both(header => header.Length = uint.MaxValue - 1);
            })
            .ToBytes();
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, (await NpzOpening.RefusedAsync<InvalidCheckpointException>(lying)).Code);
    }

    [Fact]
    public async Task Read_CancelledAtAnyRead_Ends()
    {
        var builder = new ZipBuilder();
        for (var i = 0; i < 50; i++)
        {
            builder.Add($"{i}.npy", NpzOpening.Array("<f4", "(1000,)", new byte[4000]), record => record.Deflate());
        }

        var bytes = builder.ToBytes();
        for (var read = 1; read < 30; read += 7)
        {
            using var cancellation = new CancellationTokenSource();
            await using var source = new CancellingSource(new MemorySource(bytes, NpzOpening.Path), cancellation, read);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => NpzOpening.ReadAsync(source, cancellationToken: cancellation.Token));
        }
    }

    [Fact]
    public async Task Read_SourceThatFails_PassesItOn()
    {
        var bytes = GoldenArchive.Read(NumpyManifest.Set, "npy/deflated.npz");
        for (var reads = 0; reads < 4; reads++)
        {
            var exception = await Assert.ThrowsAsync<IOException>(
                () => NpzOpening.ReadAsync(ThrowingSource.AfterReads(new MemorySource(bytes, NpzOpening.Path), reads)));
            Assert.Equal(ThrowingSource.Message, exception.Message);
        }
    }

    [Fact]
    public async Task Read_HeaderLimit_IsThatOfTheCaller()
    {
        var bytes = GoldenArchive.Read(NumpyManifest.Set, "npy/stored.npz");
        await Assert.ThrowsAsync<CheckpointLimitException>(() => NpzOpening.ReadAsync(bytes, new NumpyLimits { MaximumHeaderBytes = 117 }));
        Assert.Equal(5, (await NpzOpening.ReadAsync(bytes, new NumpyLimits { MaximumHeaderBytes = 118 })).Tensors.Count);
    }
}
