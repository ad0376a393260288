namespace IlgpuLoader.Loading;

/// <content>Weights that are stored with their inputs first.</content>
public static partial class WeightLoaders
{
    /// <summary>Exchanges the two dimensions of a weight, as a view of it, and then loads it with another loader: for checkpoints that have matrices as [inputs, outputs].</summary>
    /// <param name="loader">The loader, which gets the weight as [outputs, inputs].</param>
    public static WeightLoader Transposed(WeightLoader loader)
    {
        ArgumentNullException.ThrowIfNull(loader);
        return new TransposedLoader(loader).Load;
    }
}
