using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Makes models, without weights: on the meta device.</summary>
public static class ModelInitializer
{
    /// <summary>
    /// Makes a model: finds its kind, tells the quantisation what it has to know of it, and calls its factory within the scope of the context
    /// (<see cref="ModelContext.Current"/>, <see cref="ModelContext.CurrentPrefix"/>, and the context's dtype as <see cref="DefaultDType"/>). The counterpart of vLLM's <c>initialize_model</c>.
    /// </summary>
    /// <remarks>
    /// A factory that does not take both context and prefix gets those arguments that it takes, and the context's log two warnings. vLLM's caches, adapters and schedulers are no part of a loader, and no argument here.
    /// </remarks>
    /// <param name="context">What the model is made of.</param>
    /// <param name="prefix">Its full name; empty for the outermost.</param>
    /// <param name="model">The kind of model; null for the one that the configuration asks for.</param>
    /// <param name="config">The configuration to make it of, such as one part's of a model; null for the context's.</param>
    /// <param name="registry">The kinds of models that there are; null for <see cref="ModelRegistry.Default"/>.</param>
    /// <returns>The model, which is the caller's. Parameters have their full names, without the prefix.</returns>
    /// <exception cref="InvalidCheckpointException">The configuration lacks a field, or has a wrong one.</exception>
    /// <exception cref="UnsupportedCheckpointException">There is no layout for the configuration or the ranks.</exception>
    public static Module Initialize(
        ModelContext context, string prefix = "", ModelClass? model = null, ModelConfig? config = null, ModelRegistry? registry = null)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(prefix);
        context.Parallel.Validate(nameof(context));
        context = config is null ? context : context with { Config = config };
        model ??= (registry ?? ModelRegistry.Default).GetModelClass(context);
        if (context.Quantization is { } quantization)
        {
            ConfigureQuantization(quantization, model);
        }

        if (!model.TakesContextAndPrefix)
        {
            var name = Quoted.Name(model.Name);
            context.Warnings.WarnOnce(
                $"The factory of {name} should take a {nameof(ModelContext)} and a prefix. It may have been written for an older version and registered from outside; "
                + $"see the documentation of {nameof(ModelClass)}, and change it accordingly. Support of such factories is deprecated.");
            context.Warnings.WarnOnce($"The arguments of the factory of {name} are guessed by their types.");
        }

        using var scope = context.Use(prefix);
        using var dtype = DefaultDType.Use(context.DType);
        var made = model.Create(context, prefix);
        foreach (var (name, parameter) in made.NamedParameters())
        {
            parameter.Name = name;
        }

        return made;
    }

    /// <summary>
    /// Tells a quantisation which modules a kind of model packs, by reference, and what it calls modules (vLLM's <c>configure_quant_config</c>). Nothing is told where the factory does so itself
    /// (<see cref="ModelClass.ConfiguresQuantization"/>).
    /// </summary>
    /// <param name="quantization">The quantisation.</param>
    /// <param name="model">The kind of model.</param>
    public static void ConfigureQuantization(QuantizationConfig quantization, ModelClass model)
    {
        ArgumentNullException.ThrowIfNull(quantization);
        ArgumentNullException.ThrowIfNull(model);
        if (model.ConfiguresQuantization)
        {
            return;
        }

        if (model.NameMapper is { } mapper && !quantization.HasMappedNames)
        {
            quantization.HasMappedNames = true;
            // A name that the mapper leaves out is one of a weight: the module keeps its name.
            quantization.MapNames(name => mapper.Map(name) ?? name);
        }

        if (model.PackedModules is { } packed)
        {
            quantization.PackedModules = packed;
        }
    }
}
