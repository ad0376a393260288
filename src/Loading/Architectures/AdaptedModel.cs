namespace IlgpuLoader.Loading;

/// <summary>
/// A model with its modules under the same names, but without its output head, and for some tasks with a score head. Weights of the output head are left out; names may lack the prefix <c>model.</c>, as those of
/// models do that were saved without a head.
/// </summary>
internal sealed class AdaptedModel : Module
{
    private const string OutputHead = "lm_head";

    private readonly Module _inner;

    private AdaptedModel(Module inner)
    {
        _inner = inner;
        QuantizeMethod = inner.QuantizeMethod;
        foreach (var (name, parameter) in inner.Parameters)
        {
            Register(name, parameter);
        }

        foreach (var (name, buffer) in inner.Buffers)
        {
            Register(name, buffer);
        }

        foreach (var (name, child) in inner.Children.Where(child => child.Key != OutputHead))
        {
            Register(name, child);
        }
    }

    /// <inheritdoc/>
    public override string ClassName => _inner.ClassName;

    /// <inheritdoc/>
    public override bool TakesStoredNames => _inner.TakesStoredNames;

    /// <summary>The kind of model that embeds.</summary>
    public static ModelClass ForEmbedding(ModelClass model) => model.IsPooling ? model : model.With(NameOf(model, "ForEmbedding"), (inner, _) => new AdaptedModel(inner));

    /// <summary>The kind of model that scores.</summary>
    public static ModelClass ForReward(ModelClass model) => model.IsPooling ? model : model.With(NameOf(model, "ForReward"), WithScore);

    /// <inheritdoc/>
    public override WeightRoute Route(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.StartsWith(OutputHead + ".", StringComparison.Ordinal))
        {
            return WeightRoute.Skip("for this task the model has no output head");
        }

        var route = _inner.Route(name);
        route = route.IsUnknown ? base.Route(name) : route;
        return route.IsUnknown && Children.ContainsKey("model") ? _inner.Route($"model.{name}") : route;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _inner.Dispose();
        }
    }

    private static AdaptedModel WithScore(Module inner, ModelContext context)
    {
        var adapted = new AdaptedModel(inner);
        try
        {
            if (!adapted.Children.ContainsKey("score"))
            {
                var fields = new ConfigFields(context);
                var hidden = context.Config.HiddenSize ?? fields.Number("hidden_size");
                var layout = new LinearLayout(hidden, [new PackedPart(null, fields.LabelCount())]);
                // As the classification heads of transformers: whole on each rank, and not quantised.
                adapted.Register("score", new LinearLayer(layout, context.DType));
            }

            return adapted;
        }
        catch
        {
            adapted.Dispose();
            throw;
        }
    }

    private static string NameOf(ModelClass model, string suffix)
    {
        var generates = new[] { "ForCausalLM", "ForConditionalGeneration", "ChatModel", "LMHeadModel" };
        var ending = generates.FirstOrDefault(ending => model.Name.EndsWith(ending, StringComparison.Ordinal)) ?? "";
        return model.Name[..^ending.Length] + suffix;
    }
}
