using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Loads a share of dimension 0 of what has more than one (<see cref="WeightLoaders.RowParallel"/>).</summary>
internal sealed class RowParallelLoader(TensorParallel parallel) : ISharingLoader
{
    private readonly ShardedLoader _sharded = new(0, parallel);

    public Shape WholeOf(Shape parameter) => parameter.Rank > 1 ? _sharded.WholeOf(parameter) : parameter;

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        if (parameter.Shape.Rank > 1)
        {
            _sharded.Load(parameter, weight, shard);
        }
        else
        {
            new WeightMismatch(parameter, weight, shard, parallel).Copy(weight, parameter.Data);
        }
    }
}
