using System.IO.Compression;
using System.Text;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Archives that are right, made by hand and by the framework, each record held against what was put in.</summary>
public sealed class ZipDirectoryTests
{
    [Fact]
    public async Task Read_ArchiveOfTheFramework_GivesItsEntriesAndBytes()
    {
        var contents = new Dictionary<string, byte[]>
        {
            ["model/data.pkl"] = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("pickle ", 1000))),
            ["model/data/0"] = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7))],
            ["model/leer"] = [],
            ["model/größe"] = [1, 2, 3],
        };
        foreach (var level in new[] { CompressionLevel.NoCompression, CompressionLevel.Optimal })
        {
            var bytes = Pack(contents, level);
            var directory = await ZipOpening.AcceptedAsync(bytes);
            Assert.Equal(contents.Keys, directory.Entries.Select(entry => entry.Name));
            foreach (var (name, content) in contents)
            {
                Assert.Equal(content, await ZipOpening.BytesAsync(directory, name));
            }
        }
    }

    [Fact]
    public async Task Read_StoredEntry_LiesWhereItSays()
    {
        byte[] content = [1, 2, 3, 4, 5];
        var bytes = new ZipBuilder()
            .Add("first", [9, 9], record => record.Local.Extra = [0x46, 0x42, 3, 0, (byte)'Z', (byte)'Z', (byte)'Z'])
            .Add("second", content, record => record.Local.Extra = [0x46, 0x42, 0, 0])
            .ToBytes();
        var directory = await ZipOpening.AcceptedAsync(bytes);
        var entry = directory.Entries[1];
        Assert.True(entry.IsStored);
        Assert.Equal(content, bytes[(int)entry.DataOffset..(int)(entry.DataOffset + entry.Length)]);
    }

    [Fact]
    public async Task Read_NameWithoutTheFlagOfUtf8_IsOfCodePage437()
    {
        var bytes = new ZipBuilder()
            .Add("a", [1], record => record.Both(header => (header.Flags, header.Name) = (0, [0x67, 0x72, 0x94, 0xe1, 0x65, 0x80, 0xff])))
            .Add("plain", [2], record => record.Both(header => header.Flags = 0))
            .ToBytes();
        var directory = await ZipOpening.AcceptedAsync(bytes);
        Assert.Equal(["größeÇ\u00a0", "plain"], directory.Entries.Select(entry => entry.Name));
        // The framework has the same table in its legacy encodings.
        var oracle = System.Text.CodePagesEncodingProvider.Instance.GetEncoding(437)!;
        for (var value = 0x80; value < 0x100; value++)
        {
            Assert.Equal(oracle.GetString([(byte)value]), ZipName.Decode([(byte)value], isUtf8: false));
        }
    }

    [Fact]
    public async Task Read_CommentAsLongAsCanBe_FindsTheEndBeforeIt()
    {
        var bytes = new ZipBuilder { Comment = new byte[ushort.MaxValue], HasZip64End = true }.Add("a", [1, 2]).ToBytes();
        var directory = await ZipOpening.AcceptedAsync(bytes);
        Assert.Equal(["a"], directory.Entries.Select(entry => entry.Name));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(60_000)]
    public async Task P8_EndRecordInTheCommentOfAnother_IsTheOneThatCounts(int behind)
    {
        // Python's zipfile and PyTorch take the last signature; a reader that took the outer archive would show another one.
        var inner = new ZipBuilder().Add("other", [9]).ToBytes();
        var bytes = new ZipBuilder { Comment = [.. inner, .. new byte[behind]] }.Add("a", [1, 2]).ToBytes();
        await ZipOpening.InvalidAsync(bytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_DescriptorsBehindTheData_TakesLengthsFromTheDirectory(bool withSizes)
    {
        // As PyTorch writes its records: no CRC and no lengths before the data, all three behind them.
        var bytes = new ZipBuilder { HasZip64End = true };
        for (var i = 0; i < 3; i++)
        {
            bytes.Add($"archive/data/{i}", [1, 2, (byte)i], record =>
            {
                record.Both(header => header.Flags |= 1 << 3);
                record.Local.Crc = 0;
                (record.Local.Length, record.Local.CompressedLength) = withSizes ? (3, uint.MaxValue) : (0, 0);
                record.Behind = new byte[16];
            });
        }

        var directory = await ZipOpening.AcceptedAsync(bytes.ToBytes());
        Assert.Equal([1, 2, 2], await ZipOpening.BytesAsync(directory, "archive/data/2"));
    }

    [Fact]
    public async Task Read_NoCrcComputed_TakesTheBytesAsTheyAre()
    {
        var bytes = new ZipBuilder().Add("a", [1, 2, 3], record => record.Both(header => header.Crc = 0)).ToBytes();
        Assert.Equal([1, 2, 3], await ZipOpening.BytesAsync(await ZipOpening.AcceptedAsync(bytes), "a"));
    }

    [Fact]
    public async Task Read_SizesInZip64FieldsThatNeedNone_AreTaken()
    {
        // As numpy.savez writes local headers; behind another field, and a padding that is no field.
        byte[] local = [0x46, 0x42, 60, 0, .. new byte[60], 1, 0, 16, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        var bytes = new ZipBuilder().Add("a.npy", [1, 2, 3], record =>
        {
            (record.Local.Length, record.Local.CompressedLength) = (uint.MaxValue, uint.MaxValue);
            record.Local.Extra = local;
            (record.Central.Length, record.Central.CompressedLength) = (uint.MaxValue, uint.MaxValue);
            record.Central.Extra = [1, 0, 16, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        }).ToBytes();
        Assert.Equal([1, 2, 3], await ZipOpening.BytesAsync(await ZipOpening.AcceptedAsync(bytes), "a.npy"));
    }

    [LinuxFact]
    public async Task Write_MoreThanFourGibibytes_ReadsBackThroughZip64()
    {
        // A sparse file: its bytes are written here and there, and the disk holds no more. The CRC of the zeros between is joined
        // from that of one piece, so that nothing reads 4 GiB.
        const long large = (4L << 30) + 12_345;
        using var folder = new TemporaryFolder();
        var path = folder["large.zip"];
        ZipRecordPlan[] plans = [new("first", new byte[] { 1 }), new("large", default, "large", large), new("last", new byte[] { 2, 3 })];
        var layout = new ZipLayout(plans);
        var zeros = new RecordChecksum();
        var megabyte = Crc32.Compute(new byte[1 << 20]);
        for (var offset = 0L; offset < large; offset += 1 << 20)
        {
            var length = Math.Min(1 << 20, large - offset);
            zeros.Add(offset, length, length == 1 << 20 ? megabyte : Crc32.Compute(new byte[length]));
        }

        uint[] crcs = [Crc32.Compute([1]), zeros.Join(0, large)!.Value, Crc32.Compute([2, 3])];
        using (var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write))
        {
            for (var i = 0; i < plans.Length; i++)
            {
                RandomAccess.Write(file, layout.LocalHeader(i, crcs[i]), layout.HeaderOffset(i));
            }

            RandomAccess.Write(file, layout.Directory(crcs), layout.DirectoryOffset);
        }

        await using var source = new LocalFileSource(path);
        var directory = await ZipDirectory.ReadAsync(ZipOpening.FileOf(source), default);
        Assert.Equal(layout.Length, source.Length);
        Assert.Equal([1, large, 2], directory.Entries.Select(entry => entry.Length));
        Assert.InRange(directory.Entries[2].HeaderOffset, large, long.MaxValue);
        Assert.Equal([2, 3], await ZipOpening.BytesAsync(directory, "last"));
        using var archive = ZipFile.OpenRead(path);
        Assert.Equal([1, large, 2], archive.Entries.Select(entry => entry.Length));
        Assert.Equal(crcs, archive.Entries.Select(entry => entry.Crc32));
        using var stream = archive.GetEntry("last")!.Open();
        Assert.Equal([2, 3], [(byte)stream.ReadByte(), (byte)stream.ReadByte()]);
    }

    private static byte[] Pack(Dictionary<string, byte[]> contents, CompressionLevel level)
    {
        using var output = new MemoryStream();
        using (var archive = new ZipArchive(output, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in contents)
            {
                using var stream = archive.CreateEntry(name, level).Open();
                stream.Write(content);
            }
        }

        return output.ToArray();
    }
}
