using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a scale of a linear layer's weight is for. Immutable.</summary>
/// <param name="Outputs">The outputs of a block.</param>
/// <param name="Inputs">The inputs of a block; <see cref="long.MaxValue"/> for all.</param>
/// <param name="IsPerPart">Whether each packed part has one scale, of shape [parts].</param>
public sealed record ScaleLayout(long Outputs, long Inputs, bool IsPerPart)
{
    /// <summary>One scale for each packed part.</summary>
    public static ScaleLayout PerPart { get; } = new(long.MaxValue, long.MaxValue, true);

    /// <summary>One scale for each output (channel): [outputs, 1].</summary>
    public static ScaleLayout PerChannel { get; } = new(1, long.MaxValue, false);

    /// <summary>One scale for each block: [ceil(outputs / block), ceil(inputs / block)].</summary>
    public static ScaleLayout Blocks(long outputs, long inputs) => new(outputs, inputs, false);

    internal BlockScaledScheme Scheme => new(Outputs, Inputs);
}
