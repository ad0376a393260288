namespace IlgpuLoader.Loading;

/// <summary>
/// The loaders that most parameters have. Each refuses a weight that does not fit with a <see cref="Formats.ModelMismatchException"/> that has both names, both shapes, the part and the rank.
/// Immutable and safe for any thread.
/// </summary>
public static partial class WeightLoaders
{
    /// <summary>
    /// Copies the weight, converted to the parameter's dtype. Shapes must be the same; any two of one element do (vLLM's
    /// <c>default_weight_loader</c>).
    /// </summary>
    public static WeightLoader Default { get; } = (parameter, weight, shard) => new WeightMismatch(parameter, weight, shard, null).Copy(weight, parameter.Data);
}
