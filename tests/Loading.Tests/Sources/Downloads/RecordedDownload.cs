using System.Collections.Concurrent;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Every report of a download, in the order in which they came.</summary>
internal sealed class RecordedDownload : IProgress<DownloadProgress>
{
    private readonly ConcurrentQueue<DownloadProgress> _reports = [];

    public IReadOnlyList<DownloadProgress> Reports => [.. _reports];

    public void Report(DownloadProgress value) => _reports.Enqueue(value);
}
