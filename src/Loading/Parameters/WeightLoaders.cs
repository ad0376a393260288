using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The loaders that most parameters have. Immutable and safe for any thread.</summary>
public static partial class WeightLoaders
{
    /// <summary>
    /// Copies the weight, converted to the parameter's dtype. Shapes must be the same; any two of one element do (vLLM's
    /// <c>default_weight_loader</c>).
    /// </summary>
    public static WeightLoader Default { get; } = (parameter, weight, _) => Copy(parameter, weight);

    private static void Copy(Parameter parameter, Weight weight)
    {
        if (parameter.Shape != weight.Shape && (parameter.Shape.ElementCount != 1 || weight.Shape.ElementCount != 1))
        {
            throw new ModelMismatchException(
                null,
                [$"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape}"]);
        }

        weight.CopyTo(parameter.Data);
    }
}
