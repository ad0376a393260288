using System.Collections.Immutable;
using System.Globalization;

namespace IlgpuLoader.Loading;

/// <summary>GPT-2, whose linear layers are stored with their inputs first, and whose checkpoints may have been saved without their head.</summary>
internal static class Gpt2Architecture
{
    // It packs queries, keys and values under the name that the checkpoint has too.
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = new(StringComparer.Ordinal) { ["c_attn"] = ["c_attn"] };

    /// <summary>The kind of model. The output head is tied to the embedding where the configuration does not say otherwise, and the feed-forward network four times as wide as the residual stream.</summary>
    public static ModelClass Gpt2 { get; } = new("GPT2LMHeadModel", Build) { PackedModules = Packed };

    private static Gpt2Model Build(ModelContext context, string prefix)
    {
        var fields = new ConfigFields(context);
        var hidden = fields.Number("n_embd");
        var heads = fields.Number("n_head");
        var vocabulary = fields.Number("vocab_size");
        var intermediate = fields.Number("n_inner", checked(4 * hidden));
        var headSize = fields.HeadSize(hidden, heads, field: null, hiddenField: "n_embd", headsField: "n_head");
        fields.CheckHeads(heads, heads, headSize, "n_head", "n_head");
        fields.CheckSplit(intermediate, "n_inner, by default four times n_embd");
        var isTied = fields.Flag("tie_word_embeddings", true);
        var options = context.Layers;
        var (dtype, parallel, quantization) = (options.DType, options.Parallel, options.Quantization);
        var count = fields.Count("n_layer");
        var positions = fields.Number("n_positions");

        var causal = new Gpt2Model(context, Packed) { IsTied = isTied };
        try
        {
            var model = causal.Register("transformer", new DecoderLayers());
            var inner = Module.Join(prefix, "transformer");
            var embedding = model.Register("wte", new VocabularyEmbedding(vocabulary, hidden, options));
            var places = model.Register("wpe", new Module());
            places.Register("weight", new Parameter(dtype, new Formats.Shape(positions, hidden)));
            var layers = model.Register("h", new Module());
            for (var i = 0; i < count; i++)
            {
                var number = i.ToString(CultureInfo.InvariantCulture);
                var layer = layers.Register(number, new Module());
                layer.Register("ln_1", new NormLayer(hidden, dtype, hasBias: true));
                var attention = layer.Register("attn", new Module());
                Add(attention, "attn.c_attn", LinearLayout.ForAttention(hidden, heads, heads, headSize, parallel));
                Add(attention, "attn.c_proj", new LinearLayout(hidden, [new PackedPart(null, hidden)], parallel, splitsInputs: true));
                attention.Register("attn", new AttentionLayer(quantization, $"{inner}.h.{number}.attn.attn"));
                layer.Register("ln_2", new NormLayer(hidden, dtype, hasBias: true));
                var feedForward = layer.Register("mlp", new Module());
                Add(feedForward, "mlp.c_fc", new LinearLayout(hidden, [new PackedPart(null, intermediate)], parallel));
                Add(feedForward, "mlp.c_proj", LinearLayout.ForDown(hidden, intermediate, parallel));

                void Add(Module owner, string name, LinearLayout layout) => owner.Register(
                    name[(name.IndexOf('.', StringComparison.Ordinal) + 1)..],
                    new TransposedLinearLayer(layout, dtype, quantization, $"{inner}.h.{number}.{name}", hasBias: true));
            }

            model.Register("ln_f", new NormLayer(hidden, dtype, hasBias: true));
            causal.Register("lm_head", isTied ? embedding : new VocabularyEmbedding(vocabulary, hidden, options));
            return causal;
        }
        catch
        {
            causal.Dispose();
            throw;
        }
    }
}
