namespace IlgpuLoader.Loading;

/// <summary>A reload that a watched folder caused. Immutable.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Version">The model's version after it (<see cref="HotModel.Version"/>).</param>
/// <param name="Report">What was done with each layer; null where it failed before any was looked at.</param>
/// <param name="Failure">Why it ended early; null where it came to its end. The folder is looked at again when it changes.</param>
public sealed record HotReload(string Folder, long Version, ReloadReport? Report, Exception? Failure)
{
    /// <summary>Whether all layers have the weights of the folder.</summary>
    public bool IsWhole => Failure is null && Report is { IsWhole: true };
}
