namespace IlgpuLoader.Loading;

/// <summary>What tensor-parallel ranks can share evenly. Each rule gives a clause that says what cannot be, with the field and the numbers, or null.</summary>
internal static class EvenSplit
{
    /// <summary>Holds query heads against the ranks: each has as many.</summary>
    /// <param name="heads">The query heads.</param>
    /// <param name="worldSize">The number of ranks.</param>
    /// <param name="field">The field of a configuration that has the number.</param>
    public static string? ProblemOfHeads(long heads, int worldSize, string field = "num_attention_heads") =>
        heads % worldSize == 0 ? null : Uneven($"{heads} heads ({field})", worldSize);

    /// <summary>Holds key and value heads against the ranks: each has as many, or each head is on as many.</summary>
    /// <param name="heads">The key and value heads.</param>
    /// <param name="worldSize">The number of ranks.</param>
    /// <param name="field">The field of a configuration that has the number.</param>
    public static string? ProblemOfKeyValueHeads(long heads, int worldSize, string field = "num_key_value_heads") =>
        heads % worldSize == 0 || worldSize % heads == 0 ? null
        : Uneven($"{heads} key and value heads ({field})", worldSize, heads >= worldSize ? "split evenly" : "repeated equally often");

    /// <summary>Holds features against the ranks: each has as many.</summary>
    /// <param name="features">The features.</param>
    /// <param name="worldSize">The number of ranks.</param>
    /// <param name="field">The field of a configuration that has the number.</param>
    public static string? ProblemOfFeatures(long features, int worldSize, string field = "intermediate_size") =>
        features % worldSize == 0 ? null : Uneven($"{features} features ({field})", worldSize);

    private static string Uneven(string what, int worldSize, string how = "split evenly") => $"{what} cannot be {how} over {worldSize} tensor-parallel ranks";
}
