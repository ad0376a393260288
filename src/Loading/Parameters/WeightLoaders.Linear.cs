namespace IlgpuLoader.Loading;

/// <content>Parameters of linear layers.</content>
public static partial class WeightLoaders
{
    /// <summary>
    /// Loads a parameter of a linear layer: this rank's share of each packed part, or of the inputs. A weight without a part (<see cref="ShardId.None"/>) is
    /// all parts, packed as the parameter is, and each is split by itself; where there is one number for each part (<see cref="ParameterAxes.PerPart"/>), its one number is that of each part.
    /// </summary>
    /// <remarks>A weight must have exactly the layer's features: one that has more is another layer's, although each rank would find its share in it.</remarks>
    /// <param name="layout">The layer. A part is called by its id, or by its number.</param>
    /// <param name="axes">What the parameter's dimensions count.</param>
    /// <exception cref="ArgumentException">The axes are no dimensions that differ, or units below 1.</exception>
    public static WeightLoader Linear(LinearLayout layout, ParameterAxes axes)
    {
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentNullException.ThrowIfNull(axes);
        axes.Validate(nameof(axes));
        return new LinearLoader(layout, axes).Load;
    }
}
