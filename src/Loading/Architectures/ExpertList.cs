namespace IlgpuLoader.Loading;

/// <summary>Experts as modules of their own, by their numbers: those of this rank, whole.</summary>
/// <param name="placement">Which experts are on this rank.</param>
internal sealed class ExpertList(ExpertPlacement placement) : Module
{
    /// <inheritdoc/>
    public override WeightRoute Route(string name)
    {
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0 || !ExpertsLayer.TryParseIndex(name[..dot], out var expert) || expert >= placement.Count)
        {
            return WeightRoute.Unknown;
        }

        return placement.LocalOf(expert) is null ? WeightRoute.Skip("the expert is on another rank") : base.Route(name);
    }
}
