namespace IlgpuLoader.Formats;

/// <summary>Names for what is not finished yet.</summary>
internal static class TemporaryName
{
    // Linux file systems allow names of 255 bytes; the random part and the ending take 38 of them.
    private const int LongestStem = 64;

    /// <summary>A new hidden name in the same folder, so that a rename cannot cross file systems.</summary>
    public static string Beside(string fullPath)
    {
        var name = Path.GetFileName(fullPath);
        var stem = name.Length <= LongestStem ? name : name[..LongestStem];
        return Path.Combine(Path.GetDirectoryName(fullPath)!, $".{stem}.{Guid.NewGuid():N}.tmp");
    }
}
