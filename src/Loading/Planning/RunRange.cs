namespace IlgpuLoader.Loading;

/// <summary>Runs that one lane reads in this order.</summary>
/// <param name="First">The index of the first in the plan.</param>
/// <param name="Count">How many; 0 when there are no more.</param>
internal readonly record struct RunRange(int First, int Count);
