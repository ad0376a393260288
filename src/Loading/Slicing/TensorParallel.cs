namespace IlgpuLoader.Loading;

/// <summary>
/// Which part of a tensor-parallel group a load is for: the weights of attention and feed-forward layers are split over
/// the ranks, everything else is on each of them.
/// </summary>
/// <param name="WorldSize">The number of ranks, from 1.</param>
/// <param name="Rank">The rank to load for, from 0.</param>
public sealed record TensorParallel(int WorldSize, int Rank)
{
    // Far above the largest groups whose devices reach each other's memory (72 in one NVLink domain); a typing error
    // is told apart from a wish.
    private const int MaximumWorldSize = 1024;

    /// <summary>Checks the numbers.</summary>
    /// <exception cref="ArgumentException">There is no such rank or no such group.</exception>
    internal void Validate(string parameterName)
    {
        if (WorldSize is < 1 or > MaximumWorldSize)
        {
            throw new ArgumentException(
                $"The number of tensor-parallel ranks must be between 1 and {MaximumWorldSize}, and is {WorldSize}.", parameterName);
        }

        if (Rank < 0 || Rank >= WorldSize)
        {
            throw new ArgumentException(
                $"The ranks of {WorldSize} are 0 to {WorldSize - 1}; there is no rank {Rank}.", parameterName);
        }
    }
}
