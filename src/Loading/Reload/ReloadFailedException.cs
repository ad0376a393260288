namespace IlgpuLoader.Loading;

/// <summary>A reload ended before its end; the model lives on, each of its layers with its old weights or its new ones.</summary>
/// <param name="message">What happened, and which layers are new.</param>
/// <param name="report">What was done until then.</param>
/// <param name="innerException">Why it ended.</param>
public sealed class ReloadFailedException(string message, ReloadReport report, Exception innerException) : Exception(message, innerException)
{
    /// <summary>What was done until then, layer by layer.</summary>
    public ReloadReport Report { get; } = report;
}
