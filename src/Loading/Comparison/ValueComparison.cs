namespace IlgpuLoader.Loading;

/// <summary>
/// How the values of two tensors of one shape differ. Two NaN are equal, and so are the two zeros. The parts of complex
/// numbers are compared as two values each. Immutable.
/// </summary>
/// <param name="Count">Values compared: the elements, twice as many for complex types.</param>
/// <param name="DifferentCount">Values that differ, those that are NaN on one side only included.</param>
/// <param name="BytesOnlyCount">
/// Elements (of F4, F6 and block types: groups that fill whole bytes) whose stored bytes differ although no value in them
/// does; 0 where the dtypes differ.
/// </param>
/// <param name="NaNAppeared">Values that are NaN in the second tensor only.</param>
/// <param name="NaNDisappeared">Values that are NaN in the first tensor only.</param>
/// <param name="Largest">The largest absolute difference; null where no two numbers differ.</param>
/// <param name="LargestRelative">
/// The largest difference in relation to the larger of the two magnitudes, from 0 to 2; null where no two finite numbers differ.
/// </param>
public sealed record ValueComparison(
    long Count,
    long DifferentCount,
    long BytesOnlyCount,
    long NaNAppeared,
    long NaNDisappeared,
    LargestDifference? Largest,
    double? LargestRelative);
