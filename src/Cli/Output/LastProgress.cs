using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>The last report of a download, which is passed on to a display of bytes. Safe for any thread.</summary>
internal sealed class LastProgress : IProgress<DownloadProgress>
{
    private readonly Lock _lock = new();
    private IProgress<LoadProgress>? _display;
    private DownloadProgress _value;

    /// <summary>What was reported last.</summary>
    public DownloadProgress Value
    {
        get
        {
            lock (_lock)
            {
                return _value;
            }
        }
    }

    /// <summary>Passes reports on from now on.</summary>
    /// <param name="display">Where to; null for nowhere.</param>
    public LastProgress To(IProgress<LoadProgress>? display)
    {
        lock (_lock)
        {
            _display = display;
        }

        return this;
    }

    /// <inheritdoc/>
    public void Report(DownloadProgress value)
    {
        IProgress<LoadProgress>? display;
        lock (_lock)
        {
            (_value, display) = (value, _display);
        }

        display?.Report(new LoadProgress(value.Bytes, value.TotalBytes, value.Files, value.TotalFiles));
    }
}
