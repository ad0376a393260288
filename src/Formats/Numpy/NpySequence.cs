namespace IlgpuLoader.Formats.Numpy;

/// <summary>A tuple or list of a header.</summary>
/// <param name="IsTuple">Whether it stands in round brackets.</param>
/// <param name="Items">Strings, <see cref="long"/>s, truth values, null for None, and sequences.</param>
internal sealed record NpySequence(bool IsTuple, IReadOnlyList<object?> Items);
