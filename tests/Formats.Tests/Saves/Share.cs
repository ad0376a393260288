using System.Security.Cryptography;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Saves whose content follows from their identifier and rank, so that anybody can tell whether one is whole.</summary>
internal static class Share
{
    public const string Pattern = "{rank}-{part}.bin";

    public const string Config = "config.json";

    /// <summary>The content of a file of a save.</summary>
    public static byte[] Content(string id, int rank, int part, int length = 300)
    {
        var seed = SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{id}/{rank}/{part}"));
        var content = new byte[length];
        new Random(BitConverter.ToInt32(seed)).NextBytes(content);
        return content;
    }

    /// <summary>The base name of a file.</summary>
    public static string Name(int rank, int part) => $"{rank}-{part}.bin";

    /// <summary>The record of a share of some parts.</summary>
    public static RankManifest Record(string id, int rank, int worldSize, int parts, int length = 300) => new(
        id,
        rank,
        worldSize,
        Pattern,
        Enumerable.Range(0, parts).Select(part =>
            new ManifestFile(Name(rank, part), length, Convert.ToHexStringLower(SHA256.HashData(Content(id, rank, part, length))))),
        new TensorManifest([]),
        [Carried(id)]);

    /// <summary>What the records list of the configuration, whose content is the identifier.</summary>
    public static ManifestFile Carried(string id) =>
        new(Config, id.Length, Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(id))));

    /// <summary>Writes the files of a share.</summary>
    public static async Task WriteAsync(JoinedFolder folder, string id, int rank, int parts, int length = 300)
    {
        for (var part = 0; part < parts; part++)
        {
            await folder.WriteAllBytesAsync(Name(rank, part), Content(id, rank, part, length));
        }
    }

    /// <summary>Records a share that is written, and adds the configuration if it is the last.</summary>
    public static async Task<IEnumerable<int>> FinishAsync(JoinedFolder folder, string id, int rank, int worldSize, int parts, int length = 300) =>
        (await folder.FinishAsync(
            Record(id, rank, worldSize, parts, length).ToBytes(),
            (beside, token) => beside.WriteAllBytesAsync(Config, System.Text.Encoding.UTF8.GetBytes(id), token))).AsEnumerable();

    /// <summary>Joins, writes, finishes.</summary>
    public static async Task<IEnumerable<int>> SaveAsync(
        string path, string id, int rank, int worldSize, int parts = 2, int length = 300, FileSystemCalls? calls = null)
    {
        await using var folder = await JoinedFolder.JoinAsync(path, id, rank, worldSize, overwrite: true, calls ?? FileSystemCalls.Native, default);
        await WriteAsync(folder, id, rank, parts, length);
        return await FinishAsync(folder, id, rank, worldSize, parts, length);
    }

    /// <summary>The identifier of the save that a folder holds whole: every manifest, every SHA-256, nothing else in it. Throws where it does not.</summary>
    public static async Task<string> WholeAsync(string path)
    {
        var manifests = await RankManifest.ReadFolderAsync(path);
        await RankManifestVerifier.EnsureAsync(path, manifests);
        string[] expected = [
            Config,
            .. manifests.Select(manifest => RankManifest.FileName(manifest.Rank)),
            .. manifests.SelectMany(manifest => manifest.Files).Select(file => file.Name)];
        var actual = Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry));
        if (!expected.Order(StringComparer.Ordinal).SequenceEqual(actual.Order(StringComparer.Ordinal))
            || await File.ReadAllTextAsync(Path.Combine(path, Config)) != manifests[0].SaveId)
        {
            throw new InvalidDataException($"{path} holds {string.Join(", ", actual)} and not {string.Join(", ", expected)}.");
        }

        return manifests[0].SaveId;
    }
}
