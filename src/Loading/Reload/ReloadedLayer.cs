namespace IlgpuLoader.Loading;

/// <summary>What a reload did with one layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Outcome">Whether it has its new weights, and else why not.</param>
/// <param name="Reason">What a user reads of it; null for <see cref="LayerOutcome.New"/>.</param>
public sealed record ReloadedLayer(ModelLayer Layer, LayerOutcome Outcome, string? Reason = null);
