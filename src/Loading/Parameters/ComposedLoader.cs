using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Applies a function to the parameter behind a load (<see cref="WeightLoaders.Composed"/>).</summary>
internal sealed class ComposedLoader(WeightLoader loader, Func<Tensor, Tensor> function, bool isElementwise) : IOuterLoader
{
    /// <summary>What loads before the function.</summary>
    public WeightLoader Inner => loader;

    /// <summary>Whether each value depends on the one at its own place alone.</summary>
    public bool IsElementwise => isElementwise;

    public void Load(Parameter parameter, Weight weight, ShardId shard)
    {
        // Its copies are recorded, so that it is known what they fill; the function runs when values are there.
        loader(parameter, weight, shard);
        parameter.ValuesNeeded();
        var result = function(parameter.Data)
            ?? throw new InvalidOperationException($"The function that is applied to {parameter} behind its load gave no tensor.");
        if (ReferenceEquals(result, parameter.Data))
        {
            return;
        }

        try
        {
            CopyBack(parameter, result);
        }
        finally
        {
            result.Dispose();
        }
    }

    public WeightLoader With(Func<Delegate, Delegate> change)
    {
        var (inner, outer) = ((WeightLoader)change(loader), (Func<Tensor, Tensor>)change(function));
        return ReferenceEquals(inner, loader) && ReferenceEquals(outer, function) ? Load : new ComposedLoader(inner, outer, isElementwise).Load;
    }

    private static void CopyBack(Parameter parameter, Tensor result)
    {
        if (result.Shape != parameter.Shape)
        {
            throw new InvalidOperationException(
                $"The function that is applied to {parameter} behind its load gave {result}, and its shape must be {parameter.Shape}.");
        }

        if (!ReferenceEquals(result.Memory, parameter.Data.Memory))
        {
            parameter.Data.CopyFrom(result);
            return;
        }

        // A copy into itself in another order would read what it has written.
        using var apart = result.To(result.DType);
        parameter.Data.CopyFrom(apart);
    }
}
