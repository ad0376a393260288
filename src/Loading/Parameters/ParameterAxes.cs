namespace IlgpuLoader.Loading;

/// <summary>
/// Which dimensions of a linear layer's parameter count its output and input features, and how many features an index stands for: 8 along the inputs where eight
/// 4-bit numbers are packed into one, 128 along both for the scales of blocks. Immutable.
/// </summary>
/// <param name="Output">The dimension that counts output features; null for none.</param>
/// <param name="Input">The dimension that counts input features; null for none.</param>
/// <param name="OutputUnit">The output features of one index; the last index may stand for fewer.</param>
/// <param name="InputUnit">The input features of one index; the last index may stand for fewer.</param>
public sealed record ParameterAxes(int? Output = 0, int? Input = 1, long OutputUnit = 1, long InputUnit = 1)
{
    /// <summary>A plain weight: [outputs, inputs].</summary>
    public static ParameterAxes Weight { get; } = new();

    /// <summary>A bias: [outputs].</summary>
    public static ParameterAxes Bias { get; } = new(0, null);

    /// <summary>One number for each packed part, such as a scale of the whole tensor: [parts].</summary>
    public static ParameterAxes PerPart { get; } = new(null, null) { IsPerPart = true };

    /// <summary>Whether there is one index for each packed part.</summary>
    public bool IsPerPart { get; init; }

    /// <summary>Checks the numbers.</summary>
    /// <exception cref="ArgumentException">They are no dimensions or units.</exception>
    internal void Validate(string parameterName)
    {
        if (Output < 0 || Input < 0 || (Output is not null && Output == Input) || OutputUnit < 1 || InputUnit < 1)
        {
            throw new ArgumentException($"{this}: dimensions are counted from 0 and differ, and units are at least 1.", parameterName);
        }
    }
}
