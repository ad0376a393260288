namespace IlgpuLoader.Loading;

/// <summary>
/// The layers of a self-attention: queries, keys and values packed in one, the output, and for some families a normalisation of the heads.
/// </summary>
public sealed class SelfAttention : Module
{
    /// <summary>Makes the layers, and their parameters on the meta device.</summary>
    /// <param name="hidden">The width of the residual stream.</param>
    /// <param name="heads">The query heads over all ranks.</param>
    /// <param name="keyValueHeads">The key and value heads over all ranks; fewer than ranks are replicated.</param>
    /// <param name="headSize">The features of a head.</param>
    /// <param name="options">What all layers have in common.</param>
    /// <param name="prefix">The full name.</param>
    /// <param name="hasBias">Whether queries, keys and values have a bias.</param>
    /// <param name="hasOutputBias">Whether the output has a bias.</param>
    /// <param name="normalisesHeads">Whether there are <c>q_norm</c> and <c>k_norm</c>, over the features of a head.</param>
    /// <exception cref="ArgumentException">Heads cannot be split over the ranks; the message has the numbers.</exception>
    public SelfAttention(
        long hidden,
        long heads,
        long keyValueHeads,
        long headSize,
        LayerOptions options,
        string prefix = "",
        bool hasBias = false,
        bool hasOutputBias = false,
        bool normalisesHeads = false)
    {
        ArgumentNullException.ThrowIfNull(options);
        var packed = LinearLayout.ForAttention(hidden, heads, keyValueHeads, headSize, options.Parallel);
        var output = new LinearLayout(checked(heads * headSize), [new PackedPart(null, hidden)], options.Parallel, splitsInputs: true);
        Register("qkv_proj", new LinearLayer(packed, options.DType, options.Quantization, Module.Join(prefix, "qkv_proj"), hasBias));
        Register("o_proj", new LinearLayer(output, options.DType, options.Quantization, Module.Join(prefix, "o_proj"), hasOutputBias));
        Register("attn", new AttentionLayer(options.Quantization, Module.Join(prefix, "attn")));
        if (normalisesHeads)
        {
            Register("q_norm", new NormLayer(headSize, options.DType));
            Register("k_norm", new NormLayer(headSize, options.DType));
        }
    }
}
