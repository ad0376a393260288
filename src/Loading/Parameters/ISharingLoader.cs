using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// What a <see cref="WeightLoader"/> is the method of that gives each rank its share: it knows the whole. Made-up weights are then the same on every number of ranks
/// (<see cref="Parameter.WholeShape"/>).
/// </summary>
internal interface ISharingLoader
{
    /// <summary>The shape of the one weight that fills the parameters of all ranks: all parts packed, all experts one above the other.</summary>
    /// <param name="parameter">The parameter's shape on this rank.</param>
    Shape WholeOf(Shape parameter);

    /// <summary>Puts a weight into a parameter.</summary>
    /// <inheritdoc cref="WeightLoader"/>
    void Load(Parameter parameter, Weight weight, ShardId shard);
}
