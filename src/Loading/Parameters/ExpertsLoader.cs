using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Loads the layers of this rank's experts (<see cref="WeightLoaders.Experts"/>).</summary>
internal sealed class ExpertsLoader(ExpertPlacement placement, LinearLayout layout, ParameterAxes axes) : ISharingLoader
{
    public Shape WholeOf(Shape parameter) => parameter.Rank == 0
        ? parameter
        : new Shape([placement.Count, .. LinearPlacement.WholeOf(layout, axes, new Shape(parameter.Dimensions[1..])).Dimensions]);

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        var mismatch = new WeightMismatch(parameter, weight, shard, layout.Parallel);
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
                LoadExpert(parameter, weight, shard, local, mismatch);
            }

            return;
        }

        if (weight.Shape.Rank == 0 || weight.Shape[0] != placement.Count)
        {
            throw mismatch.Of($"{placement.Count} experts were expected in dimension 0");
        }

        for (var local = 0; local < placement.LocalExperts.Length; local++)
        {
            var part = shard with { Expert = placement.LocalExperts[local] };
            LoadExpert(parameter, weight.Select(0, placement.LocalExperts[local]), part, local, new WeightMismatch(parameter, weight, part, layout.Parallel));
        }
    }

    private void LoadExpert(Parameter parameter, Weight weight, ShardId shard, int local, WeightMismatch mismatch)
    {
        using var place = parameter.Data.Select(0, local);
        new LinearPlacement(layout, axes, place, mismatch).Load(weight, shard.Part);
    }
}
