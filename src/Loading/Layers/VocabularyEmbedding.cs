using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// An embedding of tokens, or an output over them: one row a token, padded (<see cref="PaddedVocabulary"/>) and split over the ranks. It is not quantised.
/// </summary>
public sealed class VocabularyEmbedding : Module
{
    /// <summary>Makes the layer, and its parameter on the meta device.</summary>
    /// <param name="vocabulary">The rows that the checkpoint has.</param>
    /// <param name="hidden">The width of a row.</param>
    /// <param name="options">What all layers have in common.</param>
    public VocabularyEmbedding(long vocabulary, long hidden, LayerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var rows = PaddedVocabulary.SizeOf(vocabulary, worldSize: options.Parallel.WorldSize) / options.Parallel.WorldSize;
        Register("weight", new Parameter(options.DType, new Shape(rows, hidden), WeightLoaders.PaddedVocabulary(vocabulary, options.Parallel)));
    }
}
