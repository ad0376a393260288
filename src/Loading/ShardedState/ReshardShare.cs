namespace IlgpuLoader.Loading;

/// <summary>Elements of a saved rank's tensor that another number of ranks needs. Immutable.</summary>
/// <param name="Share">The elements.</param>
/// <param name="SameAs">The rank before that has the same, whose values these must be; null for the first.</param>
internal sealed record ReshardShare(SplitShare Share, int? SameAs);
