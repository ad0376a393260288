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
    public static WeightLoader Experts(ExpertPlacement placement, LinearLayout layout, ParameterAxes axes)
    {
        ArgumentNullException.ThrowIfNull(placement);
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentNullException.ThrowIfNull(axes);
        axes.Validate(nameof(axes));
        return (parameter, weight, shard) =>
        {
            var mismatch = new Mismatch(parameter, weight, shard, layout.Parallel);
            if (parameter.Shape.Rank == 0 || parameter.Shape[0] != placement.LocalExperts.Length)
            {
                throw mismatch.Of($"the parameter does not have the {placement.LocalExperts.Length} experts of this rank in dimension 0");
            }

            if (shard.Expert is { } one)
            {
                if (one < 0 || one >= placement.Count)
                {
                    throw mismatch.Of($"the experts are 0 to {placement.Count - 1}");
                }

                if (placement.LocalOf(one) is { } local)
                {
                    LoadExpert(parameter, weight, layout, axes, shard, local, mismatch);
                }

                return;
            }

            if (weight.Shape.Rank == 0 || weight.Shape[0] != placement.Count)
            {
                throw mismatch.Of($"{placement.Count} experts were expected in dimension 0");
            }

            for (var local = 0; local < placement.LocalExperts.Length; local++)
            {
                var expert = placement.LocalExperts[local];
                var part = shard with { Expert = expert };
                LoadExpert(parameter, weight.Select(0, expert), layout, axes, part, local, new Mismatch(parameter, weight, part, layout.Parallel));
            }
        };
    }

    private static void LoadExpert(
        Parameter parameter, Weight weight, LinearLayout layout, ParameterAxes axes, ShardId shard, int local, Mismatch mismatch)
    {
        using var place = parameter.Data.Select(0, local);
        new LinearPlacement(layout, axes, place, mismatch).Load(weight, shard.Part);
    }
}
