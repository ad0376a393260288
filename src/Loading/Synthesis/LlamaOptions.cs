using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The size of a Llama-shaped checkpoint that is made up. Immutable.</summary>
public sealed record LlamaOptions
{
    // Far above any model; the headers of more would exceed what readers accept.
    private const int MaximumLayers = 100_000;

    /// <summary>The number of decoder layers.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>The width of the residual stream; a multiple of <see cref="Heads"/>.</summary>
    public int Hidden { get; init; } = 64;

    /// <summary>The width of the feed-forward layer; null for Llama's rule, two thirds of four times hidden, rounded up to 16.</summary>
    public int? Intermediate { get; init; }

    /// <summary>The number of attention heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>The number of key and value heads; divides <see cref="Heads"/>.</summary>
    public int KeyValueHeads { get; init; } = 2;

    /// <summary>The number of tokens.</summary>
    public int Vocabulary { get; init; } = 512;

    /// <summary>The number of files.</summary>
    public int Shards { get; init; } = 1;

    /// <summary>The dtype of every tensor: F32, F16, BF16 or F64.</summary>
    public DType DType { get; init; } = DType.BF16;

    /// <summary>The seed; the same options and seed give the same bytes.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Whether the output layer is the embedding, as in small Llama models.</summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>The feed-forward width in use.</summary>
    public int IntermediateSize => Intermediate ?? (int)Math.Min(int.MaxValue, ((8L * Hidden / 3) + 15) / 16 * 16);

    /// <summary>Checks that the numbers fit each other.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public void Validate()
    {
        ThrowUnless(Layers is >= 1 and <= MaximumLayers, $"The number of layers must be between 1 and {MaximumLayers}, not {Layers}.");
        ThrowUnless(Heads >= 1 && Hidden >= Heads && Hidden % Heads == 0, $"The hidden size {Hidden} must be a multiple of the {Heads} heads.");
        ThrowUnless(
            KeyValueHeads >= 1 && Heads % KeyValueHeads == 0, $"The {KeyValueHeads} key and value heads must divide the {Heads} heads.");
        ThrowUnless(Vocabulary >= 1, $"There must be at least one token, not {Vocabulary}.");
        ThrowUnless(IntermediateSize >= 1, $"The feed-forward width must be at least one, not {IntermediateSize}.");
        ThrowUnless(DType is DType.F32 or DType.F16 or DType.BF16 or DType.F64, $"The dtype must be F32, F16, BF16 or F64, not {DType.Name}.");
        var tensors = LlamaLayout.Tensors(this).Count();
        ThrowUnless(Shards >= 1 && Shards <= tensors, $"The number of shards must be between 1 and the {tensors} tensors, not {Shards}.");
    }

    private static void ThrowUnless(bool condition, string message)
    {
        if (!condition)
        {
            throw new ArgumentException(message);
        }
    }
}
