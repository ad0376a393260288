namespace IlgpuLoader.Hosting;

/// <summary>What a reload by call did. Immutable.</summary>
/// <param name="Version">The model's version after it (<see cref="ModelStatus.Version"/>).</param>
/// <param name="Load">What it took.</param>
public sealed record ModelReload(long Version, CompletedLoad Load)
{
    /// <summary>Whether all of the model is new.</summary>
    public bool IsWhole => Load.OldLayers == 0;
}
