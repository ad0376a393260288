namespace IlgpuLoader.Loading;

/// <summary>A number that says something of a rank, and where it is from.</summary>
/// <param name="Value">The number.</param>
/// <param name="Name">The variable, or what an option says.</param>
internal readonly record struct RankNumber(int Value, string Name)
{
    /// <summary>Name and number, as part of a sentence.</summary>
    public override string ToString() => $"{Name} is {Value}";
}
