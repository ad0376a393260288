namespace IlgpuLoader.Harness;

/// <summary>Puts a report's table between two marks of a Markdown file, so that no figure there is written by hand.</summary>
internal static class ReadmeTable
{
    public const string Begin = "<!-- perf:begin -->";
    public const string End = "<!-- perf:end -->";

    /// <summary>Replaces what is between the marks of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="table">What goes there; null to see whether it could.</param>
    /// <param name="cancellationToken">Ends reading and writing.</param>
    /// <exception cref="UnusableFileException">It cannot be read or written, or has not the marks; it is as it was.</exception>
    public static async Task ReplaceAsync(string path, string? table, CancellationToken cancellationToken)
    {
        try
        {
            var markdown = Replace(await File.ReadAllTextAsync(path, cancellationToken), table ?? "");
            if (table is not null)
            {
                await File.WriteAllTextAsync(path, markdown, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new UnusableFileException($"{path} cannot take the table: {exception.Message}", exception);
        }
    }

    /// <summary>Replaces what is between the marks.</summary>
    /// <param name="markdown">The file's text.</param>
    /// <param name="table">What goes there.</param>
    /// <exception cref="InvalidDataException">There is not exactly one mark of each, in their order.</exception>
    public static string Replace(string markdown, string table)
    {
        var begin = markdown.IndexOf(Begin, StringComparison.Ordinal);
        var end = markdown.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin
            || markdown.IndexOf(Begin, begin + Begin.Length, StringComparison.Ordinal) >= 0
            || markdown.IndexOf(End, end + End.Length, StringComparison.Ordinal) >= 0)
        {
            throw new InvalidDataException($"The file needs one {Begin} and, behind it, one {End}.");
        }

        return $"{markdown[..(begin + Begin.Length)]}\n{table.Trim()}\n{markdown[end..]}";
    }
}
