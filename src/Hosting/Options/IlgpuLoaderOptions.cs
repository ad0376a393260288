using System.ComponentModel.DataAnnotations;

namespace IlgpuLoader.Hosting;

/// <summary>What a host loads, and how it takes failures. Bound from the configuration section <c>IlgpuLoader</c>; read once, when the host starts.</summary>
public sealed class IlgpuLoaderOptions
{
    /// <summary>The configuration section that is bound unless another is given.</summary>
    public const string SectionName = "IlgpuLoader";

    /// <summary>The models by their names: 1 to 64 letters, digits, <c>.</c>, <c>_</c> and <c>-</c>, which upper and lower case do not tell apart, as in all keys of a configuration.</summary>
    public IDictionary<string, HostedModelOptions> Models { get; } = new Dictionary<string, HostedModelOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>What becomes of the host when a model cannot be loaded at start. Default: it stops, as with every background service that fails.</summary>
    public FailureBehavior OnFailure { get; set; }

    /// <summary>How loads are tried again where <see cref="FailureBehavior.Retry"/> is asked for.</summary>
    public RetryOptions Retry { get; set; } = new();

    /// <summary>How many models are loaded or reloaded at a time; others wait. Default: 1, since one load uses all cores and the whole disk, and two have staging memory and connections to servers twice.</summary>
    [Range(1, 64)]
    public int MaximumConcurrentLoads { get; set; } = 1;
}
