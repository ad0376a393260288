using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Loads a parameter of a linear layer (<see cref="WeightLoaders.Linear"/>).</summary>
internal sealed class LinearLoader(LinearLayout layout, ParameterAxes axes) : ISharingLoader
{
    public Shape WholeOf(Shape parameter) => LinearPlacement.WholeOf(layout, axes, parameter);

    public void Load(Parameter parameter, Weight weight, ShardId shard) =>
        new LinearPlacement(layout, axes, parameter.Data, new WeightMismatch(parameter, weight, shard, layout.Parallel)).Load(weight, shard.Part);
}
