namespace IlgpuLoader.Loading;

/// <summary>Which part of a parameter a weight is: a part of a packed one, an expert of many, both, or all of it.</summary>
/// <param name="Part">The part of a packed parameter: <c>q</c>, <c>k</c>, <c>v</c>, <c>w1</c>, or its number; null for all of it.</param>
/// <param name="Expert">The expert, counted over all ranks; null where there are none.</param>
public readonly record struct ShardId(string? Part = null, int? Expert = null)
{
    /// <summary>The whole parameter.</summary>
    public static ShardId None => default;

    /// <summary>Part and expert, for messages; empty for the whole parameter.</summary>
    public override string ToString() => (Part, Expert) switch
    {
        (null, null) => "",
        (null, _) => $"expert {Expert}",
        (_, null) => Part,
        _ => $"{Part} of expert {Expert}",
    };
}
