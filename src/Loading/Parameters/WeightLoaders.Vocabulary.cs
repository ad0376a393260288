namespace IlgpuLoader.Loading;

/// <content>Embeddings and outputs.</content>
public static partial class WeightLoaders
{
    /// <summary>
    /// Loads this rank's rows of an embedding or output whose vocabulary was padded (<see cref="PaddedVocabulary.SizeOf"/>): rows beyond those of the checkpoint become 0, and a rank that has no
    /// others reads nothing. Dimension 0 counts rows, also of a bias.
    /// </summary>
    /// <param name="vocabulary">The rows that the checkpoint has over all ranks.</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <exception cref="ArgumentException">The number is negative, or there is no such rank.</exception>
    public static WeightLoader PaddedVocabulary(long vocabulary, TensorParallel? parallel = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(vocabulary);
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        return (parameter, weight, shard) =>
        {
            var mismatch = new Mismatch(parameter, weight, shard, parallel);
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
        };
    }
}
