namespace IlgpuLoader.Loading;

/// <summary>What the sizes of a decoder's layers are, read from a configuration and held against the ranks.</summary>
/// <param name="Layers">The number of layers.</param>
/// <param name="Hidden">The width of the residual stream.</param>
/// <param name="Heads">The query heads.</param>
/// <param name="KeyValueHeads">The key and value heads.</param>
/// <param name="HeadSize">The features of a head.</param>
/// <param name="Intermediate">The features within the feed-forward network.</param>
/// <param name="Vocabulary">The tokens.</param>
/// <param name="IsTied">Whether the output head is the embedding.</param>
internal sealed record DecoderSizes(
    int Layers, long Hidden, long Heads, long KeyValueHeads, long HeadSize, long Intermediate, long Vocabulary, bool IsTied)
{
    /// <summary>Reads the fields that Llama and most after it have.</summary>
    /// <param name="fields">The configuration.</param>
    /// <param name="keyValueHeads">The family's <c>num_key_value_heads</c> where the field is missing; null for as many as query heads, which null in the file always means.</param>
    /// <param name="headSize">The family's <c>head_dim</c> where the field is missing; null for the hidden size over the heads.</param>
    /// <param name="isTied">The family's <c>tie_word_embeddings</c> where the field is missing.</param>
    /// <param name="splitsIntermediate">Whether ranks share the features within the feed-forward network.</param>
    public static DecoderSizes Read(
        ConfigFields fields, long? keyValueHeads = null, long? headSize = null, bool isTied = false, bool splitsIntermediate = true)
    {
        var hidden = fields.Number("hidden_size");
        var heads = fields.Number("num_attention_heads");
        var keyValue = fields.Number("num_key_value_heads", keyValueHeads ?? heads, heads);
        var size = fields.HeadSize(hidden, heads, missing: headSize);
        var intermediate = fields.Number("intermediate_size");
        fields.CheckHeads(heads, keyValue, size);
        if (splitsIntermediate)
        {
            fields.CheckSplit(intermediate, "intermediate_size");
        }

        return new DecoderSizes(
            fields.Count("num_hidden_layers"), hidden, heads, keyValue, size, intermediate, fields.Number("vocab_size"), fields.Flag("tie_word_embeddings", isTied));
    }
}
