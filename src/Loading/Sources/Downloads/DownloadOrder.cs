namespace IlgpuLoader.Loading;

/// <summary>In which order the files of a download come.</summary>
internal static class DownloadOrder
{
    // Indexes, configurations, manifests.
    private const string Descriptions = ".json";

    /// <summary>
    /// Fetches files side by side, and those first that say what the others must be: what a download leaves that was interrupted is then known to lack something, and is not taken for a smaller model.
    /// </summary>
    /// <param name="files">The files.</param>
    /// <param name="pathOf">The path of a file.</param>
    /// <param name="parallel">How many at the same time.</param>
    /// <param name="fetch">Fetches one.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    public static async Task FetchAsync<T>(IReadOnlyList<T> files, Func<T, string> pathOf, int parallel, Func<T, CancellationToken, ValueTask> fetch, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellationToken };
        foreach (var stage in files.ToLookup(file => pathOf(file).EndsWith(Descriptions, StringComparison.OrdinalIgnoreCase)).OrderByDescending(stage => stage.Key))
        {
            await Parallel.ForEachAsync(stage, options, fetch).ConfigureAwait(false);
        }
    }
}
