using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The numbers of a <c>config.json</c> that shapes follow from. A missing field has the default of transformers, where there is one.</summary>
/// <param name="context">The context with the configuration and the ranks.</param>
internal sealed class ConfigFields(ModelContext context)
{
    // Thirty times the largest published vocabularies (262,144), so that products of three sizes, an expert's weights for all experts, stay within 64 bits.
    private const long MaximumSize = 1 << 23;

    // Of all heads together.
    private const long MaximumFeatures = 1 << 26;

    private string Path => context.Config.Path;

    /// <summary>A number that has to be there.</summary>
    public long Number(string field) => Find(field, out var isNull) ?? throw Invalid(
        field, $"{(isNull ? "it is null" : "it is missing")}, and the shapes of {Quoted.Name(string.Join(", ", context.Config.Architectures))} follow from it; a number from 1 is expected");

    /// <summary>A number that has a default.</summary>
    /// <param name="field">The field.</param>
    /// <param name="missing">What it is where it is missing.</param>
    /// <param name="whenNull">What it is where it is null; null for what it is where it is missing.</param>
    public long Number(string field, long missing, long? whenNull = null) => Find(field, out var isNull) ?? (isNull ? whenNull ?? missing : missing);

    /// <summary>A number of things that each get modules of their own.</summary>
    public int Count(string field, long? missing = null, int maximum = GgufNameMap.MaximumBlocks)
    {
        var number = missing is { } value ? Number(field, value) : Number(field);
        return number <= maximum
            ? (int)number
            : throw new UnsupportedCheckpointException(
                "models of so many parts", Path, $"{field} is {number}, and models of at most {maximum} are built.");
    }

    /// <summary>True or false.</summary>
    public bool Flag(string field, bool missing) =>
        !context.Config.Root.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null ? missing
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Invalid(field, $"it is {Quoted.Name(value.GetRawText())}; true or false is expected");

    /// <summary>The size of a head: a field of its own, or the hidden size over the heads.</summary>
    /// <param name="hidden">The hidden size.</param>
    /// <param name="heads">The query heads.</param>
    /// <param name="field">The field.</param>
    /// <param name="missing">What it is where the field is missing; null for the hidden size over the heads.</param>
    /// <param name="hiddenField">The field of the hidden size, for messages.</param>
    /// <param name="headsField">The field of the heads, for messages.</param>
    public long HeadSize(
        long hidden, long heads, string? field = "head_dim", long? missing = null, string hiddenField = "hidden_size", string headsField = "num_attention_heads")
    {
        bool isNull = false;
        var given = field is null ? null : Find(field, out isNull) ?? (isNull ? null : missing);
        return given is { } size ? size
            : hidden % heads == 0 ? hidden / heads
            : throw Invalid(
                hiddenField, $"{hidden} is no multiple of {headsField}, {heads}{(field is null ? "" : $", and there is no {field}")}, so that the size of a head is not known");
    }

    /// <summary>The labels of a classification: as many as have names, else <c>num_labels</c>, else 2 (PretrainedConfig).</summary>
    public long LabelCount() =>
        context.Config.Root.TryGetProperty("id2label", out var labels) && labels.ValueKind == JsonValueKind.Object && labels.GetPropertyCount() is > 0 and var count
            ? count
            : Number("num_labels", 2);

    /// <summary>Holds heads against the ranks.</summary>
    /// <exception cref="UnsupportedCheckpointException">They cannot be split; the message has the numbers and the fields.</exception>
    public void CheckHeads(long heads, long keyValueHeads, long headSize, string headsField = "num_attention_heads", string keyValueHeadsField = "num_key_value_heads")
    {
        if ((heads + (2 * keyValueHeads)) * headSize > MaximumFeatures)
        {
            throw Invalid(headsField, $"{heads} heads and {keyValueHeads} key and value heads of {headSize} features are more than any model has");
        }

        var world = context.Parallel.WorldSize;
        ThrowIf(EvenSplit.ProblemOfHeads(heads, world, headsField) ?? EvenSplit.ProblemOfKeyValueHeads(keyValueHeads, world, keyValueHeadsField));
    }

    /// <summary>Holds a number of features that ranks share against the ranks.</summary>
    /// <exception cref="UnsupportedCheckpointException">They cannot be split evenly; the message has the numbers and the field.</exception>
    public void CheckSplit(long features, string field) => ThrowIf(EvenSplit.ProblemOfFeatures(features, context.Parallel.WorldSize, field));

    /// <summary>What is wrong with a field.</summary>
    public InvalidCheckpointException Invalid(string field, string problem) => new(CheckpointErrorCode.ConfigInvalid, Path, $"{field}: {problem}.");

    private void ThrowIf(string? uneven)
    {
        if (uneven is not null)
        {
            throw new UnsupportedCheckpointException("uneven splits", Path, $"{uneven}; load the model over another number of ranks.");
        }
    }

    private long? Find(string field, out bool isNull)
    {
        isNull = false;
        if (!context.Config.Root.TryGetProperty(field, out var value))
        {
            return null;
        }

        isNull = value.ValueKind == JsonValueKind.Null;
        return isNull ? null
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number is >= 1 and <= MaximumSize ? number
            : throw Invalid(field, $"it is {Quoted.Name(value.GetRawText())}; a number from 1 to {MaximumSize} is expected");
    }
}
