namespace IlgpuLoader.Loading;

/// <content>Mixtures of experts.</content>
public static partial class WeightLoaders
{
    /// <summary>
    /// Loads a parameter that has one layer for each expert of this rank, in dimension 0: <c>w13</c> [experts, 2 * intermediate, hidden] with the layout
    /// <see cref="LinearLayout.ForGateUp"/> of <c>w1</c> and <c>w3</c>, <c>w2</c> [experts, hidden, intermediate] with <see cref="LinearLayout.ForDown"/>, and their scales. A weight is that of one expert
    /// (<see cref="ShardId.Expert"/>), or of all of them one above the other. Experts of other ranks are not read.
    /// </summary>
    /// <param name="placement">Which experts are on this rank.</param>
    /// <param name="layout">One expert's layer, with the tensor-parallel ranks that share it.</param>
    /// <param name="axes">What an expert's dimensions count, those of the parameter without the first.</param>
    /// <exception cref="ArgumentException">The axes are no dimensions that differ, or units below 1.</exception>
    public static WeightLoader Experts(ExpertPlacement placement, LinearLayout layout, ParameterAxes axes)
    {
        ArgumentNullException.ThrowIfNull(placement);
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentNullException.ThrowIfNull(axes);
        axes.Validate(nameof(axes));
        return new ExpertsLoader(placement, layout, axes).Load;
    }
}
