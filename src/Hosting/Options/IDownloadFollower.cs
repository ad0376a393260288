using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Who follows the downloads that opening a model begins: one ends before another begins. Reports come from any thread.</summary>
internal interface IDownloadFollower : IProgress<DownloadProgress>
{
    /// <summary>Says that a download begins.</summary>
    /// <returns>Ends it when it is disposed, however it ended.</returns>
    IDisposable BeginDownload();
}
