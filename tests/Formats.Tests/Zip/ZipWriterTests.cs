using System.IO.Compression;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What the writer makes, read by the framework's reader and by ours.</summary>
public sealed class ZipWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Write_PiecesInAnyOrderFromManyThreads_GiveTheRecordsWithTheirChecksums()
    {
        var contents = Enumerable.Range(0, 9).Select(i => Noise(i * 12_345, i)).ToArray();
        var path = _folder["many.zip"];
        await using (var writer = ZipWriter.Create(
            path,
            "pytorch",
            length => AtomicFile.Create(path, length),
            [new("root/known", new byte[] { 1, 2, 3 }), .. contents.Select((content, i) => new ZipRecordPlan($"root/größe/{i}", Noise(i, 77), $"t{i}", content.Length))]))
        {
            var pieces = contents.SelectMany((content, i) => content.Chunk(1000).Select((piece, k) => (Tensor: $"t{i}", Offset: 1000L * k, Bytes: piece))).ToArray();
            new Random(3).Shuffle(pieces);
            await Parallel.ForEachAsync(pieces, async (piece, token) =>
            {
                if (piece.Offset % 3000 == 0)
                {
                    await writer.WriteAsync(piece.Tensor, piece.Offset, piece.Bytes, token);
                }
                else
                {
                    writer.Write(piece.Tensor, piece.Offset, piece.Bytes);
                }
            });
            await writer.CommitAsync();
            Assert.Equal(new FileInfo(path).Length, writer.Length);
        }

        var bytes = await File.ReadAllBytesAsync(path);
        var directory = await ZipOpening.AcceptedAsync(bytes);
        // The framework holds the CRC against the bytes as they are read.
        using var archive = new ZipArchive(new MemoryStream(bytes));
        Assert.Equal(directory.Entries.Select(entry => entry.Name), archive.Entries.Select(entry => entry.FullName));
        Assert.Equal([1, 2, 3], Unpack(archive, "root/known"));
        for (var i = 0; i < contents.Length; i++)
        {
            byte[] expected = [.. Noise(i, 77), .. contents[i]];
            Assert.Equal(expected, Unpack(archive, $"root/größe/{i}"));
            Assert.Equal(expected, await ZipOpening.BytesAsync(directory, $"root/größe/{i}"));
        }

        Assert.All(directory.Entries, entry =>
        {
            Assert.True(entry.IsStored);
            Assert.Equal(0, entry.DataOffset % 64);
            Assert.Equal(ZipRecord.CrcOf(bytes.AsSpan((int)entry.DataOffset, (int)entry.Length)), entry.Crc32);
        });
    }

    [PythonFact]
    public async Task Write_AnyRecords_AreWholeForPythonsZipfile()
    {
        const string script = """
            import hashlib, sys, zipfile
            with zipfile.ZipFile(sys.argv[1]) as archive:
                assert archive.testzip() is None, archive.testzip()
                for entry in archive.infolist():
                    data = archive.read(entry)
                    assert entry.compress_type == zipfile.ZIP_STORED and len(data) == entry.file_size
                    print(entry.filename.encode('utf-8').hex(), hashlib.sha256(data).hexdigest())
            """;
        foreach (var count in new[] { 0, 3, 70_000 })
        {
            var path = _folder[$"python{count}.zip"];
            ZipRecordPlan[] records =
            [
                .. Enumerable.Range(0, count).Select(i => i % 2 == 0
                    ? new ZipRecordPlan($"root/größe/{i}", Noise(i % 100, i))
                    : new ZipRecordPlan($"😀/{i}", Noise(i % 7, i), $"t{i}", i % 300)),
            ];
            await using (var writer = ZipWriter.Create(path, "pytorch", length => AtomicFile.Create(path, length), records))
            {
                foreach (var record in records.Where(record => record.Tensor is not null))
                {
                    writer.Write(record.Tensor!, 0, Noise((int)record.ByteLength, record.Tensor!.Length));
                }

                await writer.CommitAsync();
            }

            var expected = records.Select(record => Line(
                record.Name, [.. record.Content.Span, .. record.Tensor is { } tensor ? Noise((int)record.ByteLength, tensor.Length) : []]));
            Assert.Equal(expected, (await SystemPython.RunAsync(script, path)).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        static string Line(string name, byte[] bytes) =>
            $"{Convert.ToHexStringLower(System.Text.Encoding.UTF8.GetBytes(name))} {Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))}";
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65_534)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    public async Task Write_AsManyEntriesAsSixteenBitsCountAndMore_ReadsBack(int count)
    {
        var path = _folder["count.zip"];
        await using (var writer = ZipWriter.Create(
            path, "pytorch", length => AtomicFile.Create(path, length), [.. Enumerable.Range(0, count).Select(i => new ZipRecordPlan($"{i}", new[] { (byte)i }))]))
        {
            await writer.CommitAsync();
        }

        var bytes = await File.ReadAllBytesAsync(path);
        var directory = await ZipDirectory.ReadAsync(ZipOpening.FileOf(bytes), default);
        Assert.Equal(count, directory.Entries.Count);
        using var archive = new ZipArchive(new MemoryStream(bytes));
        Assert.Equal(count, archive.Entries.Count);
        if (count > 0)
        {
            Assert.Equal([unchecked((byte)(count - 1))], Unpack(archive, $"{count - 1}"));
            Assert.Equal(archive.Entries[^1].Crc32, directory.Entries[^1].Crc32);
        }
    }

    [Fact]
    public async Task Commit_BytesMissingOrWrittenTwice_Throws()
    {
        foreach (var (offset, length) in new[] { (0, 9), (1, 9), (0, 0) })
        {
            var path = _folder["short.zip"];
            await using var writer = ZipWriter.Create(path, "pytorch", size => AtomicFile.Create(path, size), [new("a/b", default, "tensor", 10)]);
            await writer.WriteAsync("tensor", offset, new byte[length]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
            Assert.Contains("'tensor'", exception.Message, StringComparison.Ordinal);
            await writer.DisposeAsync();
            Assert.False(File.Exists(path));
        }

        var twice = _folder["twice.zip"];
        await using var overlapping = ZipWriter.Create(twice, "pytorch", size => AtomicFile.Create(twice, size), [new("a/b", default, "tensor", 10)]);
        overlapping.Write("tensor", 0, new byte[5]);
        overlapping.Write("tensor", 3, new byte[5]);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await overlapping.CommitAsync());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/a")]
    [InlineData("a/../b")]
    [InlineData("a\\b")]
    [InlineData("c:/b")]
    [InlineData("a<half of a pair>")]
    [InlineData("twice")]
    public void Create_NameThatNoArchiveMayHave_Throws(string name)
    {
        var path = _folder["bad.zip"];
        // The text of an attribute is UTF-8, in which half of a surrogate pair does not survive.
        var given = name.Replace("<half of a pair>", "\ud800", StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(
            () => ZipWriter.Create(path, "pytorch", length => AtomicFile.Create(path, length), [new("twice", default), new(given, default)]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    private static byte[] Unpack(ZipArchive archive, string name)
    {
        using var stream = archive.GetEntry(name)!.Open();
        using var output = new MemoryStream();
        stream.CopyTo(output);
        return output.ToArray();
    }

    private static byte[] Noise(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
