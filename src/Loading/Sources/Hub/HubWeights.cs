using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Which files of a repository are downloaded as its weights, where nobody opens them yet.</summary>
internal static class HubWeights
{
    /// <summary>The patterns of weights that the loader reads, best first.</summary>
    public static readonly IReadOnlyList<string> Patterns = ["*.safetensors", "*.gguf", "*.bin", "*.pt", "*.pth", "*.ckpt"];

    private const string SafetensorsPattern = "*.safetensors";

    // transformers' name of the index.
    private const string SafetensorsIndex = "model.safetensors.index.json";

    /// <summary>Chooses by vLLM's rules.</summary>
    /// <param name="files">The paths of all files.</param>
    /// <param name="patterns">The patterns, best first.</param>
    /// <param name="download">Brings the index, and gives its local path.</param>
    /// <param name="cancellationToken">Ends the reading of the index.</param>
    /// <returns>The names that an index gives, else the patterns that are left.</returns>
    /// <exception cref="InvalidCheckpointException">The index breaks a rule.</exception>
    public static async Task<(IReadOnlySet<string>? Names, IReadOnlyList<string> Patterns)> ChooseAsync(
        IReadOnlyList<string> files, IReadOnlyList<string> patterns, Func<string, Task<string>> download, CancellationToken cancellationToken)
    {
        string[] root = [.. files.Where(file => !file.Contains('/', StringComparison.Ordinal))];
        if (patterns.Contains(SafetensorsPattern) && root.Contains(SafetensorsIndex))
        {
            var names = await ReadIndexAsync(await download(SafetensorsIndex).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            return names.Count > 0 ? (names, [SafetensorsPattern]) : (null, [SafetensorsPattern]);
        }

        var first = patterns.FirstOrDefault(pattern => root.Any(file => FilePattern.Matches(pattern, file)));
        return (null, first is null ? patterns : [first]);
    }

    /// <summary>Whether a folder has a file that fits a pattern, as Python's <c>Path.glob</c> has it: a star stands for no slash.</summary>
    public static bool AnyFits(string folder, string pattern)
    {
        var parts = pattern.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return Directory.Exists(folder) && parts.Length > 0 && AnyFits(folder, parts);
    }

    /// <summary>The folder of a path; empty for the root.</summary>
    public static string FolderOf(string path) => path.LastIndexOf('/') is var slash and >= 0 ? path[..slash] : "";

    /// <summary>The base names of the files that lie directly in a folder.</summary>
    public static IEnumerable<string> NamesIn(IReadOnlyList<string> files, string folder)
    {
        var start = folder.Length == 0 ? "" : folder + "/";
        return files.Where(file => file.StartsWith(start, StringComparison.Ordinal) && file.IndexOf('/', start.Length) < 0).Select(file => file[start.Length..]);
    }

    private static bool AnyFits(string folder, ReadOnlySpan<string> parts)
    {
        foreach (var entry in parts.Length == 1 ? Directory.EnumerateFileSystemEntries(folder) : Directory.EnumerateDirectories(folder))
        {
            if (FilePattern.Matches(parts[0], Path.GetFileName(entry)) && (parts.Length == 1 || AnyFits(entry, parts[1..])))
            {
                return true;
            }
        }

        return false;
    }

    // Names that are no paths within the repository choose nothing: they are only held against those that the Hub lists.
    private static async Task<IReadOnlySet<string>> ReadIndexAsync(string path, CancellationToken cancellationToken)
    {
        var bytes = await SideFile.ReadAsync(path, CheckpointOptions.Default, cancellationToken).ConfigureAwait(false);
        try
        {
            using var document = JsonDocument.Parse(bytes);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("weight_map", out var map) && map.ValueKind == JsonValueKind.Object
                ? map.EnumerateObject().Select(entry => entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : throw Invalid(path, null)).ToHashSet()
                : throw Invalid(path, null);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw Invalid(path, exception);
        }
    }

    private static InvalidCheckpointException Invalid(string path, Exception? cause) =>
        new(CheckpointErrorCode.IndexInvalid, path, "the index has no weight_map of names of files.", innerException: cause);
}
