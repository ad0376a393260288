using System.Text;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The repositories of which huggingface_hub made the golden cache, on a Hub of this machine.</summary>
internal static class HubSample
{
    public const string First = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    public const string Second = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// <summary>A safetensors file of one tensor, <c>w</c>, of the value 1.</summary>
    public static readonly byte[] Weights =
        [64, 0, 0, 0, 0, 0, 0, 0, .. Encoding.ASCII.GetBytes("{\"w\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}".PadRight(64)), 0, 0, 0x80, 0x3f];

    public static readonly HubRepository Tiny = new("acme/tiny");

    public static async Task<HubDouble> StartAsync()
    {
        var hub = await HubDouble.StartAsync();
        var tiny = hub.Add("acme/tiny");
        foreach (var (commit, version) in new[] { (First, 1), (Second, 2) })
        {
            tiny.Add(commit, "config.json", Encoding.ASCII.GetBytes($"{{\"v\":{version}}}"));
            tiny.Add(commit, "model.safetensors", Weights, isLarge: true);
            tiny.Add(commit, "sub/dir/file.txt", "same"u8.ToArray());
        }

        tiny.SetRef("main", Second);
        tiny.SetRef("v1.0", First);
        tiny.SetRef("refs/pr/3", First);
        foreach (var path in new[] { "gpt-nameless", "datasets/acme/data" })
        {
            var other = hub.Add(path);
            other.Add(Second, "config.json", "{\"v\":2}"u8.ToArray());
            other.SetRef("main", Second);
        }

        return hub;
    }

    /// <summary>Options for a Hub of this machine.</summary>
    public static RemoteOptions Options(HubDouble hub, string cache, string? token = null) =>
        new() { Hub = new HubSettings { Endpoint = hub.Hub.Address, CacheFolder = cache, Token = token }, MaximumRetries = 1, RangeBytes = 64 << 10 };

    /// <summary>All entries of a folder with what they are: links with their targets, files with their bytes.</summary>
    public static SortedDictionary<string, string> Entries(string folder)
    {
        var entries = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None }))
        {
            entries[Path.GetRelativePath(folder, entry.FullName)] =
                entry.LinkTarget is { } target ? "-> " + target : entry is FileInfo ? Convert.ToHexString(File.ReadAllBytes(entry.FullName)) : "folder";
        }

        return entries;
    }
}
