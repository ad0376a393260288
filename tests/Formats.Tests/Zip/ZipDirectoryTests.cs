using System.IO.Compression;
using System.Text;
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
