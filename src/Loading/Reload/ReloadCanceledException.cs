namespace IlgpuLoader.Loading;

/// <summary>A reload was cancelled; the model lives on, each of its layers with its old weights or its new ones.</summary>
/// <param name="message">Which layers are new.</param>
/// <param name="report">What was done until then.</param>
/// <param name="innerException">The cancellation.</param>
/// <param name="token">The token that was cancelled.</param>
public sealed class ReloadCanceledException(string message, ReloadReport report, Exception innerException, CancellationToken token) : OperationCanceledException(message, innerException, token)
{
    /// <summary>What was done until then, layer by layer.</summary>
    public ReloadReport Report { get; } = report;
}
