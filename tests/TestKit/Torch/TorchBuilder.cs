using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.TestKit;

/// <summary>
/// Builds PyTorch files around any pickle, from the format's own rules and .NET's zip writer, without the code under test:
/// archives as <c>torch.save</c> writes them since 1.6, and streams as before.
/// </summary>
public sealed class TorchBuilder
{
    private readonly List<(string Name, byte[] Content, CompressionLevel Level)> _records = [];
    private readonly List<(string Key, long Count, byte[] Content)> _storages = [];

    /// <summary>The folder of an archive's records; empty for none.</summary>
    public string Root { get; init; } = "archive";

    /// <summary>The version record; null for none.</summary>
    public string? Version { get; init; } = "3\n";

    /// <summary>Whether the count in front of each storage of a stream has its highest byte first, and sys_info says so.</summary>
    public bool IsBigEndian { get; init; }

    /// <summary>Whether sys_info says that the machine was big-endian, and counts and numbers are little-endian all the same, as PyTorch writes them there.</summary>
    public bool IsMarkedBigEndian { get; init; }

    /// <summary>Adds a storage.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="content">Its bytes.</param>
    /// <param name="count">Its elements, which a stream says in front of them; as many as bytes where none are given.</param>
    public TorchBuilder AddStorage(string key, byte[] content, long? count = null)
    {
        _storages.Add((key, count ?? content.Length, content));
        return this;
    }

    /// <summary>Adds a record to an archive, below its folder.</summary>
    public TorchBuilder AddRecord(string name, byte[] content, bool isCompressed = false)
    {
        _records.Add((Below(name), content, isCompressed ? CompressionLevel.Optimal : CompressionLevel.NoCompression));
        return this;
    }

    /// <summary>Adds a record to an archive under its whole name.</summary>
    public TorchBuilder AddOutside(string name, byte[] content)
    {
        _records.Add((name, content, CompressionLevel.NoCompression));
        return this;
    }

    /// <summary>The archive of a value.</summary>
    public byte[] ToArchive(byte[] value) => ToArchiveOf(Complete(value));

    /// <summary>The archive of a whole pickle, of none where it is null.</summary>
    public byte[] ToArchiveOf(byte[]? pickle)
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            if (pickle is not null)
            {
                Write(archive, Below("data.pkl"), pickle, CompressionLevel.NoCompression);
            }

            foreach (var (name, content, level) in _records)
            {
                Write(archive, name, content, level);
            }

            foreach (var (key, _, content) in _storages)
            {
                Write(archive, Below("data/" + key), content, CompressionLevel.NoCompression);
            }

            if (Version is not null)
            {
                Write(archive, Below("version"), Encoding.ASCII.GetBytes(Version), CompressionLevel.NoCompression);
            }
        }

        return stream.ToArray();
    }

    /// <summary>The stream before 1.6 of a value.</summary>
    public byte[] ToStream(byte[] value) => ToStreamOf(
        Complete(Whole(TorchMagic)),
        Complete(Whole(1001)),
        Complete(value),
        Complete(List([.. _storages.Select(storage => Text(storage.Key))])));

    /// <summary>The magic number of streams.</summary>
    public static System.Numerics.BigInteger TorchMagic { get; } =
        System.Numerics.BigInteger.Parse("119547037146038801333356", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A stream of any four pickles around the one that describes the machine.</summary>
    public byte[] ToStreamOf(byte[] magic, byte[] protocol, byte[] pickle, byte[] keys)
    {
        var machine = Complete(Dictionary(
            ("protocol_version", Whole(1001)),
            ("little_endian", Truth(!IsBigEndian && !IsMarkedBigEndian)),
            ("type_sizes", Dictionary(("short", Whole(2)), ("int", Whole(4)), ("long", Whole(4))))));
        var file = new List<byte>([.. magic, .. protocol, .. machine, .. pickle, .. keys]);
        foreach (var (_, count, content) in _storages)
        {
            var field = new byte[8];
            if (IsBigEndian)
            {
                BinaryPrimitives.WriteInt64BigEndian(field, count);
            }
            else
            {
                BinaryPrimitives.WriteInt64LittleEndian(field, count);
            }

            file.AddRange(field);
            file.AddRange(content);
        }

        return [.. file];
    }

    private string Below(string name) => Root.Length == 0 ? name : $"{Root}/{name}";

    private static void Write(ZipArchive archive, string name, byte[] content, CompressionLevel level)
    {
        using var stream = archive.CreateEntry(name, level).Open();
        stream.Write(content);
    }
}
