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
        ArgumentNullException.ThrowIfNull(parallel);
        parallel.Validate(nameof(parallel));
        return new RowParallelLoader(parallel).Load;
    }

    /// <summary>Loads this rank's share of a dimension, which must be as many times the parameter's as there are ranks (vLLM's <c>sharded_weight_loader</c>).</summary>
    /// <param name="axis">The dimension; negative counts from the end.</param>
    /// <param name="parallel">The ranks.</param>
    /// <exception cref="ArgumentException">There is no such rank.</exception>
    public static WeightLoader Sharded(int axis, TensorParallel parallel)
    {
        ArgumentNullException.ThrowIfNull(parallel);
        parallel.Validate(nameof(parallel));
        return new ShardedLoader(axis, parallel).Load;
    }

    /// <summary>
    /// Loads with another loader, then gives the parameter what a function makes of its values (vLLM's <c>composed_weight_loader</c>). The function sees the whole parameter after each
    /// weight that goes into it, so that it belongs to parameters of one weight.
    /// </summary>
    /// <param name="loader">The loader.</param>
    /// <param name="function">
    /// What makes the new values of the parameter's tensor, which stays the parameter's: a new tensor of the same shape, which is disposed here; the same one, changed in place; or a view of it.
    /// </param>
    /// <param name="isElementwise">
    /// Whether the function makes each value of the one at the same place alone, such as its exponential: only then what ranks have behind it can be split anew (<see cref="StateResharder"/>), since a function that
    /// moves values, or mixes them, is another one for each number of ranks.
    /// </param>
    public static WeightLoader Composed(WeightLoader loader, Func<Tensor, Tensor> function, bool isElementwise = false)
    {
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentNullException.ThrowIfNull(function);
        return new ComposedLoader(loader, function, isElementwise).Load;
    }
}
