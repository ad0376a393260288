using System.ComponentModel.DataAnnotations;

namespace IlgpuLoader.Hosting;

/// <summary>How a load that failed is tried again. Delays double, with a random part, so that many processes that failed together do not come back together.</summary>
public sealed class RetryOptions
{
    /// <summary>The delay before the second try. Default: a second, in which a file system that is being mounted comes up.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "1.00:00:00")]
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest delay. Default: a minute, what kubelet's own back-off grows to within a few failures.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "1.00:00:00")]
    public TimeSpan MaximumDelay { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How often it is tried again before the model stays failed; null for ever. Default: null.</summary>
    [Range(1, int.MaxValue)]
    public int? MaximumRetries { get; set; }
}
