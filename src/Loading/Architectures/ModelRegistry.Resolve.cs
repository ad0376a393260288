using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>From a configuration to a kind of model.</content>
public sealed partial class ModelRegistry
{
    // Methods that pack the experts of a layer as unquantised weights are packed.
    private static readonly ImmutableArray<string> PacksExperts = ["fp8", "compressed-tensors", "gptq_marlin", "awq_marlin", "quark"];

    /// <summary>Finds the kind of model that a configuration asks for, adapted to the task, and the name of its architecture (vLLM's <c>get_model_architecture</c>).</summary>
    /// <remarks>
    /// <para>
    /// The first architecture of the configuration that is known is taken. Where the generic layout is asked for, or where none is known and it may be taken, each architecture is replaced by the
    /// generic one (vLLM's <c>resolve_transformers_arch</c>, whose implementation takes what transformers, or a module that comes with the checkpoint, has of the model). Here nothing that
    /// comes with a checkpoint is ever run: <c>auto_map</c> of the configuration is read, and never followed. The cases:
    /// </para>
    /// <list type="number">
    /// <item>The architecture is <see cref="GenericArchitecture"/> itself: nothing to do.</item>
    /// <item>A module that <c>auto_map</c> names cannot be fetched or has no such class: here the entry <c>AutoModel</c> is no text of the form <c>module.Class</c>, perhaps behind <c>repository--</c>. An error.</item>
    /// <item>
    /// transformers has no such class, and <c>auto_map</c> has no <c>AutoModel</c>: here the configuration has no <c>model_type</c>, by which transformers finds its own classes, and
    /// no <c>AutoModel</c>. An error.
    /// </item>
    /// <item>Asked for, and the class cannot be taken: here no weights were given, a name is no path of modules, or a tensor cannot be split over the ranks. An error with the reason.</item>
    /// <item>Not asked for, no native layout, and the class cannot be taken either. An error with the reason.</item>
    /// <item>Not asked for, no native layout: the generic one, with a warning.</item>
    /// <item>No architecture that is left is known, as where only the native layout is asked for: an error that lists those that are.</item>
    /// </list>
    /// <para>
    /// A Mixtral that is quantised by a method other than fp8, compressed-tensors, gptq_marlin, awq_marlin and quark gets experts that are modules of their own here; of those, too, the layout makes modules of experts that are
    /// quantised, unless the quantisation has a method for all of them together. The task embed takes the output head away, reward puts a score head in its
    /// place; classify changes nothing.
    /// </para>
    /// </remarks>
    /// <param name="context">Configuration, quantisation, which layout and task, and for the generic layout the weights.</param>
    /// <exception cref="InvalidCheckpointException">The configuration names no architecture, or has an <c>auto_map</c> that is none.</exception>
    /// <exception cref="UnsupportedCheckpointException">There is no layout for the architecture.</exception>
    public (ModelClass Model, string Architecture) GetModelArchitecture(ModelContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var config = context.Config;
        var architectures = config.Architectures;
        if (architectures.IsEmpty)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ConfigInvalid,
                config.Path,
                "it does not say what kind of model this is: architectures, a list with a name such as \"LlamaForCausalLM\", is expected. Add it, or name the kind of model yourself.");
        }

        var supported = SupportedArchitectures;
        var isKnown = architectures.Any(supported.Contains);
        if (context.Implementation == ModelImplementation.Generic || (context.Implementation == ModelImplementation.Auto && !isKnown))
        {
            architectures = [.. architectures.Select(architecture => ResolveGeneric(context, architecture))];
        }
        else if (context.QuantizationMethod is { } method && !PacksExperts.Contains(method) && architectures.Contains(MixtralArchitecture.Mixtral.Name))
        {
            architectures = [MixtralArchitecture.QuantizedName];
        }

        var (model, name) = Resolve(config, architectures);
        return (Adapt(model, context.Task), name);
    }

    /// <summary>The kind of model that a configuration asks for (vLLM's <c>get_model_cls</c>).</summary>
    /// <inheritdoc cref="GetModelArchitecture"/>
    public ModelClass GetModelClass(ModelContext context) => GetModelArchitecture(context).Model;

    /// <summary>The name of the architecture that a configuration asks for (vLLM's <c>get_architecture_class_name</c>).</summary>
    /// <inheritdoc cref="GetModelArchitecture"/>
    public string GetArchitectureName(ModelContext context) => GetModelArchitecture(context).Architecture;

    private static ModelClass Adapt(ModelClass model, ModelTask task) => task switch
    {
        ModelTask.Embed => AdaptedModel.ForEmbedding(model),
        ModelTask.Reward => AdaptedModel.ForReward(model),
        _ => model,
    };

    private static string ResolveGeneric(ModelContext context, string architecture)
    {
        if (architecture == GenericArchitecture)
        {
            return architecture;
        }

        var config = context.Config;
        var quoted = Quoted.Name(architecture);
        var hasCustom = HasAutoModel(config);
        if (config.ModelType is null && !hasCustom)
        {
            throw new UnsupportedCheckpointException(
                "unknown models",
                config.Path,
                $"{quoted} is not to be found: there is no model_type, by which a model of transformers is known, and no AutoModel in auto_map, where a model of its own has its class.");
        }

        if (GenericModel.IsImpossible(context, out var reason))
        {
            throw new UnsupportedCheckpointException(
                "the generic layout",
                config.Path,
                context.Implementation == ModelImplementation.Generic
                    ? $"{quoted} does not fit the generic layout: {reason}."
                    : $"{quoted} has no native layout, and does not fit the generic one either: {reason}.");
        }

        if (context.Implementation == ModelImplementation.Auto)
        {
            context.Warnings.WarnOnce(
                $"{quoted} has no native layout; its weights are loaded one by one under the checkpoint's own names. Nothing is packed or padded, and what computes with them may be slower or lack features."
                + (hasCustom ? " The code that auto_map names is not run." : ""));
        }

        return GenericArchitecture;
    }

    private static bool HasAutoModel(ModelConfig config)
    {
        if (!config.Root.TryGetProperty("auto_map", out var map) || map.ValueKind == JsonValueKind.Null)
        {
            return false;
        }

        if (map.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("auto_map", map, "an object of names is expected");
        }

        // Others, such as a tokenizer's list of two, are not asked for.
        if (!map.TryGetProperty("AutoModel", out var custom))
        {
            return false;
        }

        return custom.ValueKind == JsonValueKind.String && IsClassReference(custom.GetString()!) ? true : throw Invalid("auto_map: AutoModel", custom, "\"module.Class\" or \"repository--module.Class\" is expected");

        InvalidCheckpointException Invalid(string field, JsonElement value, string expected) =>
            new(CheckpointErrorCode.ConfigInvalid, config.Path, $"{field}: it is {Quoted.Name(value.GetRawText())}; {expected}.");
    }

    private static bool IsClassReference(string reference)
    {
        var start = reference.IndexOf("--", StringComparison.Ordinal);
        var name = start < 0 ? reference : reference[(start + 2)..];
        var dot = name.LastIndexOf('.');
        return start != 0 && dot > 0 && dot < name.Length - 1;
    }

    private (ModelClass Model, string Name) Resolve(ModelConfig config, ImmutableArray<string> architectures)
    {
        foreach (var architecture in architectures)
        {
            if (TryGet(architecture, out var model))
            {
                return (model, architecture);
            }
        }

        throw new UnsupportedCheckpointException(
            "architectures",
            config.Path,
            $"there is no layout for {string.Join(", ", architectures.Select(Quoted.Name))}; there are {string.Join(", ", SupportedArchitectures.Order(StringComparer.Ordinal))}. "
            + $"Register one, or take the generic layout ({nameof(ModelImplementation)}.{nameof(ModelImplementation.Generic)}).");
    }
}
