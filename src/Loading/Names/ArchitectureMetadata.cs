using System.Collections;
using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The numbers of a GGUF's metadata that names and transforms depend on.</summary>
/// <param name="architecture">The prefix of the keys.</param>
/// <param name="metadata">The metadata, values boxed in types of their own.</param>
/// <param name="file">The file, for messages.</param>
internal sealed class ArchitectureMetadata(string architecture, IReadOnlyDictionary<string, object> metadata, string? file)
{
    /// <summary>The number of blocks.</summary>
    /// <exception cref="InvalidCheckpointException">It is missing or no number.</exception>
    public long Blocks => Required("block_count");

    /// <summary>The number of experts; 0 where the model has none.</summary>
    /// <exception cref="InvalidCheckpointException">It is no number.</exception>
    public long Experts => Optional("expert_count") ?? 0;

    /// <summary>The query heads of each block.</summary>
    /// <exception cref="InvalidCheckpointException">They are missing, or not a number for all blocks or one for each.</exception>
    /// <exception cref="CheckpointLimitException">There are more blocks than any model has.</exception>
    public ImmutableArray<long> Heads => PerBlock("attention.head_count") ?? throw Missing("attention.head_count");

    /// <summary>The key and value heads of each block, as many as query heads where that is not said.</summary>
    /// <inheritdoc cref="Heads"/>
    public ImmutableArray<long> KeyValueHeads => PerBlock("attention.head_count_kv") ?? Heads;

    private long Required(string key) => Optional(key) ?? throw Missing(key);

    private long? Optional(string key) =>
        !metadata.TryGetValue(Key(key), out var value) ? null
        : TryGetNumber(value, out var number) ? number
        : throw Invalid(key, "a number that is not negative was expected");

    // Some models have a number for each block, in an array.
    private ImmutableArray<long>? PerBlock(string key)
    {
        if (!metadata.TryGetValue(Key(key), out var value))
        {
            return null;
        }

        var blocks = Blocks;
        if (blocks > GgufNameMap.MaximumBlocks)
        {
            throw new UnsupportedCheckpointException(
                "models of so many blocks",
                file,
                $"its {Key("block_count")} is {blocks}, and models of at most {GgufNameMap.MaximumBlocks} blocks are mapped; give a map of your own.",
                "gguf");
        }

        if (value is string or not IEnumerable)
        {
            return TryGetNumber(value, out var number)
                ? [.. Enumerable.Repeat(number, (int)blocks)]
                : throw Invalid(key, "a number that is not negative was expected, or one for each block");
        }

        var numbers = ImmutableArray.CreateBuilder<long>((int)blocks);
        foreach (var element in (IEnumerable)value)
        {
            if (numbers.Count == blocks || !TryGetNumber(element, out var number))
            {
                throw Invalid(key, $"{blocks} numbers that are not negative were expected, one for each block");
            }

            numbers.Add(number);
        }

        return numbers.Count == blocks ? numbers.MoveToImmutable() : throw Invalid(key, $"it has {numbers.Count} numbers, and there are {blocks} blocks");
    }

    private static bool TryGetNumber(object? value, out long number)
    {
        // GGUF has every width; which one a converter chose says nothing.
        var isNumber = value is byte or sbyte or short or ushort or int or uint or long || value is ulong and <= long.MaxValue;
        number = isNumber ? Convert.ToInt64(value, CultureInfo.InvariantCulture) : 0;
        return isNumber && number >= 0;
    }

    private string Key(string key) => $"{architecture}.{key}";

    private InvalidCheckpointException Missing(string key) => Invalid(key, "it is missing, and names or transforms depend on it; give a map of your own");

    private InvalidCheckpointException Invalid(string key, string problem) =>
        new(CheckpointErrorCode.MetadataInvalid, file, $"metadata {Quoted.Name(Key(key))}: {problem}.", "gguf");
}
