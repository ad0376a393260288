using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <content>Parameters of which each rank has an equal share, and what is done after a load.</content>
public static partial class WeightLoaders
{
    /// <summary>
    /// Loads this rank's share of dimension 0; a parameter of one dimension or none, such as a bias, is on each rank as a whole (vLLM's <c>row_parallel_weight_loader</c>).
    /// </summary>
    /// <param name="parallel">The ranks.</param>
    /// <exception cref="ArgumentException">There is no such rank.</exception>
    public static WeightLoader RowParallel(TensorParallel parallel)
    {
        var sharded = Sharded(0, parallel);
        return (parameter, weight, shard) =>
        {
            if (parameter.Shape.Rank > 1)
            {
                sharded(parameter, weight, shard);
            }
            else
            {
                new Mismatch(parameter, weight, shard, parallel).Copy(weight, parameter.Data);
            }
        };
    }

    /// <summary>Loads this rank's share of a dimension, which must be as many times the parameter's as there are ranks (vLLM's <c>sharded_weight_loader</c>).</summary>
    /// <param name="axis">The dimension; negative counts from the end.</param>
    /// <param name="parallel">The ranks.</param>
    /// <exception cref="ArgumentException">There is no such rank.</exception>
    public static WeightLoader Sharded(int axis, TensorParallel parallel)
    {
        ArgumentNullException.ThrowIfNull(parallel);
        parallel.Validate(nameof(parallel));
        return (parameter, weight, shard) =>
        {
            var mismatch = new Mismatch(parameter, weight, shard, parallel);
            if (parallel.WorldSize == 1 && parameter.Shape.ElementCount == 1)
            {
                mismatch.Copy(weight, parameter.Data);
                return;
            }

            var dimension = axis < 0 ? axis + parameter.Shape.Rank : axis;
            if (dimension < 0 || dimension >= parameter.Shape.Rank)
            {
                throw mismatch.Of($"the parameter has no dimension {axis} that ranks could share");
            }

            var share = parameter.Shape[dimension];
            var expected = checked(share * parallel.WorldSize);
            if (weight.Shape.Rank != parameter.Shape.Rank || weight.Shape[dimension] != expected)
            {
                throw mismatch.Of($"{expected} were expected in dimension {dimension}, {share} for each rank");
            }

            mismatch.Copy(share == expected ? weight : weight.Narrow(dimension, parallel.Rank * share, share), parameter.Data);
        };
    }

    /// <summary>
    /// Loads with another loader, then gives the parameter what a function makes of its values (vLLM's <c>composed_weight_loader</c>). The function sees the whole parameter after each
    /// weight that goes into it, so that it belongs to parameters of one weight.
    /// </summary>
    /// <param name="loader">The loader.</param>
    /// <param name="function">
    /// What makes the new values of the parameter's tensor, which stays the parameter's: a new tensor of the same shape, which is disposed here; the same one, changed in place; or a view of it.
    /// </param>
    public static WeightLoader Composed(WeightLoader loader, Func<Tensor, Tensor> function)
    {
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentNullException.ThrowIfNull(function);
        return (parameter, weight, shard) =>
        {
            parameter.ValuesNeeded();
            loader(parameter, weight, shard);
            var result = function(parameter.Data) ?? throw new InvalidOperationException($"The function that is applied to {parameter} after its load gave no tensor.");
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
        };
    }

    private static void CopyBack(Parameter parameter, Tensor result)
    {
        if (result.Shape != parameter.Shape)
        {
            throw new InvalidOperationException($"The function that is applied to {parameter} after its load gave {result}, and its shape must be {parameter.Shape}.");
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
