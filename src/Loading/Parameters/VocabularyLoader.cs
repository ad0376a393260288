using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Loads rows of a padded vocabulary (<see cref="WeightLoaders.PaddedVocabulary"/>).</summary>
internal sealed class VocabularyLoader(long vocabulary, TensorParallel parallel) : ISharingLoader
{
    public Shape WholeOf(Shape parameter) => parameter.Rank == 0 ? parameter : parameter.With(0, vocabulary);

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        var mismatch = new WeightMismatch(parameter, weight, shard, parallel);
        var (to, from) = (parameter.Shape, weight.Shape);
        if (to.Rank == 0 || from.Rank != to.Rank || from[0] != vocabulary || !from.Dimensions[1..].SequenceEqual(to.Dimensions[1..]))
        {
            throw mismatch.Of($"a vocabulary of {vocabulary} rows was expected, each as the parameter's");
        }

        var rows = to[0];
        if (checked(rows * parallel.WorldSize) < vocabulary)
        {
            throw mismatch.Of($"{rows} rows on each of {parallel.WorldSize} ranks do not hold a vocabulary of {vocabulary}");
        }

        var start = rows * parallel.Rank;
        var held = Math.Clamp(vocabulary - start, 0, rows);
        if (held > 0)
        {
            using var place = parameter.Data.Narrow(0, 0, held);
            mismatch.Copy(held == vocabulary ? weight : weight.Narrow(0, start, held), place);
        }

        if (held < rows)
        {
            using var padding = parameter.Data.Narrow(0, held, rows - held);
            padding.Fill(0);
        }
    }
}
