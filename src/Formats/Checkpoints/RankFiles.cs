namespace IlgpuLoader.Formats;

/// <summary>
/// Tells the folder in which each rank of a model has put what it holds, under the same names as the other ranks: no checkpoint
/// of one model, but of several shares. The names are those of vLLM's sharded state (sharded_state_loader.py).
/// </summary>
internal static class RankFiles
{
    /// <summary>The names of the manifests that ranks may have beside their files.</summary>
    public const string Manifests = "rank-*.json";

    private const string Start = "model-rank-";
    private const string Between = "-part-";
    private const string End = ".safetensors";

    /// <summary>Whether a folder holds the shares of ranks.</summary>
    public static bool AreIn(string folder) => HaveManifests(folder) || Find(folder).Any();

    /// <summary>Whether a folder has manifests of ranks.</summary>
    public static bool HaveManifests(string folder) => Directory.EnumerateFiles(folder, Manifests).Any();

    /// <summary>The files of ranks by their names, in natural order.</summary>
    public static IEnumerable<string> Find(string folder) =>
        Directory.EnumerateFiles(folder, $"{Start}*{Between}*{End}").Where(path => IsName(Path.GetFileName(path.AsSpan()))).Order(NaturalOrder.Instance);

    private static bool IsName(ReadOnlySpan<char> name)
    {
        var numbers = name[Start.Length..^End.Length];
        var middle = numbers.IndexOf(Between, StringComparison.Ordinal);
        return middle > 0 && IsNumber(numbers[..middle]) && IsNumber(numbers[(middle + Between.Length)..]);
    }

    private static bool IsNumber(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExceptInRange('0', '9');
}
