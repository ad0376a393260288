using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Exchanges the dimensions of a matrix before a load (<see cref="WeightLoaders.Transposed"/>).</summary>
internal sealed class TransposedLoader(WeightLoader loader) : ISharingLoader, IOuterLoader
{
    public Shape WholeOf(Shape parameter)
    {
        var whole = (loader.Target as ISharingLoader)?.WholeOf(parameter) ?? parameter;
        return whole.Rank == 2 ? new Shape(whole[1], whole[0]) : whole;
    }

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        if (weight.Shape.Rank != 2)
        {
            throw new WeightMismatch(parameter, weight, shard, null).Of("a matrix was expected, inputs before outputs");
        }

        loader(parameter, weight.Transpose(0, 1), shard);
    }

    public WeightLoader With(Func<Delegate, Delegate> change)
    {
        var inner = (WeightLoader)change(loader);
        return ReferenceEquals(inner, loader) ? Load : new TransposedLoader(inner).Load;
    }
}
