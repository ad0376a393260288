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
        return new VocabularyLoader(vocabulary, parallel).Load;
    }
}
