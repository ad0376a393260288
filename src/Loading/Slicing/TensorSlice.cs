namespace IlgpuLoader.Loading;

/// <summary>The part of a tensor that is loaded: a range of one dimension, all of the others. Immutable.</summary>
/// <param name="Dimension">The dimension, counted from the outermost.</param>
/// <param name="Start">The first index that is kept.</param>
/// <param name="Length">How many indices are kept; 0 is allowed.</param>
public sealed record TensorSlice(int Dimension, long Start, long Length)
{
    /// <summary>Dimension and range, such as <c>0[1024..2048)</c>.</summary>
    public override string ToString() => $"{Dimension}[{Start}..{Start + Length})";
}
