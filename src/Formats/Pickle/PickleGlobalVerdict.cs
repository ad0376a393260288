namespace IlgpuLoader.Formats.Pickle;

/// <summary>What the settings say of a global.</summary>
/// <param name="Kind">What may be done with it. Of a refused one it says nothing.</param>
/// <param name="Refusal">
/// Why it is refused and what to do, in whole sentences such as "It runs commands."; null where it is admitted.
/// </param>
internal readonly record struct PickleGlobalVerdict(PickleGlobalKind Kind, string? Refusal)
{
    /// <summary>Whether it is admitted.</summary>
    public bool IsAllowed => Refusal is null;

    /// <summary>It is admitted.</summary>
    public static PickleGlobalVerdict Allow(PickleGlobalKind kind) => new(kind, null);

    /// <summary>It is refused, with whole sentences of why and what to do.</summary>
    public static PickleGlobalVerdict Refuse(string refusal) => new(PickleGlobalKind.Unknown, refusal);
}
