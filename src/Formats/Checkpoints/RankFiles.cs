using System.Globalization;

namespace IlgpuLoader.Formats;

/// <summary>
/// Tells the folder in which each rank of a model has put what it holds, under the same names as the other ranks: no checkpoint
/// of one model, but of several shares. The names are those of vLLM's sharded state (sharded_state_loader.py).
/// </summary>
internal static class RankFiles
{
    private const string ManifestStart = "rank-";
    private const string ManifestEnd = ".json";
    private const string Start = "model-rank-";
    private const string Between = "-part-";
    private const string End = ".safetensors";

    /// <summary>Whether a folder holds the shares of ranks.</summary>
    public static bool AreIn(string folder) => HaveManifests(folder) || Find(folder).Any();

    /// <summary>Whether a folder has manifests of ranks.</summary>
    public static bool HaveManifests(string folder) => Directory.EnumerateFiles(folder, "rank-*.json").Any(path => IsManifest(Path.GetFileName(path.AsSpan())));

    /// <summary>Whether a base name is that of a rank's manifest, with the number in the one form that is written.</summary>
    public static bool IsManifest(ReadOnlySpan<char> name) =>
        name.Length > ManifestStart.Length + ManifestEnd.Length
        // Capitals make no other file where a file system has none.
        && name.StartsWith(ManifestStart, StringComparison.OrdinalIgnoreCase)
        && name.EndsWith(ManifestEnd, StringComparison.OrdinalIgnoreCase)
        && IsRank(name[ManifestStart.Length..^ManifestEnd.Length]);

    /// <summary>The files of ranks by their names, in natural order.</summary>
    public static IEnumerable<string> Find(string folder) =>
        Directory.EnumerateFiles(folder, $"{Start}*{Between}*{End}").Where(path => IsName(Path.GetFileName(path.AsSpan()))).Order(NaturalOrder.Instance);

    /// <summary>Whether a base name is that of a rank's file.</summary>
    public static bool IsPart(string name) =>
        name.Length > Start.Length + Between.Length + End.Length && name.StartsWith(Start, StringComparison.Ordinal) && name.EndsWith(End, StringComparison.Ordinal) && IsName(name);

    private static bool IsName(ReadOnlySpan<char> name)
    {
        var numbers = name[Start.Length..^End.Length];
        var middle = numbers.IndexOf(Between, StringComparison.Ordinal);
        return middle > 0 && IsNumber(numbers[..middle]) && IsNumber(numbers[(middle + Between.Length)..]);
    }

    private static bool IsRank(ReadOnlySpan<char> digits) =>
        (digits[0] != '0' || digits.Length == 1) && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static bool IsNumber(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExceptInRange('0', '9');
}
