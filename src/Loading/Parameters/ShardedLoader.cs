using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Loads an equal share of a dimension (<see cref="WeightLoaders.Sharded"/>).</summary>
internal sealed class ShardedLoader(int axis, TensorParallel parallel) : ISharingLoader
{
    public Shape WholeOf(Shape parameter) =>
        Resolve(parameter) is { } dimension ? parameter.With(dimension, checked(parameter[dimension] * parallel.WorldSize)) : parameter;

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        var mismatch = new WeightMismatch(parameter, weight, shard, parallel);
        if (parallel.WorldSize == 1 && parameter.Shape.ElementCount == 1)
        {
            mismatch.Copy(weight, parameter.Data);
            return;
        }

        var dimension = Resolve(parameter.Shape) ?? throw mismatch.Of($"the parameter has no dimension {axis} that ranks could share");
        var share = parameter.Shape[dimension];
        var expected = checked(share * parallel.WorldSize);
        if (weight.Shape.Rank != parameter.Shape.Rank || weight.Shape[dimension] != expected)
        {
            throw mismatch.Of($"{expected} were expected in dimension {dimension}, {share} for each rank");
        }

        mismatch.Copy(share == expected ? weight : weight.Narrow(dimension, parallel.Rank * share, share), parameter.Data);
    }

    private int? Resolve(Shape shape)
    {
        var dimension = axis < 0 ? axis + shape.Rank : axis;
        return dimension >= 0 && dimension < shape.Rank ? dimension : null;
    }
}
