using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What is said of a weight that does not fit a parameter: both names, both shapes, the part and the rank.</summary>
/// <param name="parameter">The parameter.</param>
/// <param name="weight">The weight, as the checkpoint has it.</param>
/// <param name="shard">Which part of the parameter it is.</param>
/// <param name="parallel">The ranks; null where they do not matter.</param>
internal readonly struct WeightMismatch(Parameter parameter, Weight weight, ShardId shard, TensorParallel? parallel)
{
    /// <summary>The exception.</summary>
    /// <param name="problem">What is wrong, without a full stop; null where the shapes say it.</param>
    public ModelMismatchException Of(string? problem = null)
    {
        var part = shard == ShardId.None ? "" : $", {Quoted.Plain(shard.ToString())},";
        var rank = parallel is null ? "" : $" on rank {parallel.Rank} of {parallel.WorldSize}";
        return new ModelMismatchException(
            null,
            [
                $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape}{part} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape}{rank}"
                + (problem is null ? "" : $": {problem}"),
            ]);
    }

    /// <summary>Copies a part of the weight into a part of the parameter.</summary>
    /// <exception cref="ModelMismatchException">The shapes differ, and not both have one element.</exception>
    public void Copy(Weight source, Tensor place)
    {
        if (place.Shape != source.Shape && (place.Shape.ElementCount != 1 || source.Shape.ElementCount != 1))
        {
            throw Of(place.Shape == parameter.Shape && source.Shape == weight.Shape ? null : $"{source.Shape} of it would go into {place.Shape} of the parameter");
        }

        source.CopyTo(place);
    }
}
