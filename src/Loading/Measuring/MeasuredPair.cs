namespace IlgpuLoader.Loading;

/// <summary>Two measurements that were made one right after the other, in the same unit; less is better.</summary>
/// <param name="Ours">What this library took.</param>
/// <param name="Other">What the limit or the other program took.</param>
public readonly record struct MeasuredPair(double Ours, double Other)
{
    /// <summary>How close ours comes to the other: 1 where both are the same, 2 where ours takes half.</summary>
    public double Ratio => Other / Ours;
}
