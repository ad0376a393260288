using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Loaders of companions that each packed part of a layer has for itself.</summary>
internal static class PartLoaders
{
    /// <summary>Loads a number of each part: [parts]. A weight without a part is the number of all, or has each of them.</summary>
    public static WeightLoader Number(LinearLayout layout) => (parameter, weight, shard) =>
    {
        var isEach = shard.Part is null && layout.Parts.Length > 1 && weight.Shape == parameter.Shape;
        foreach (var part in Parts(parameter, weight, shard, layout))
        {
            using var place = parameter.Data.Narrow(0, part, 1);
            Copy(parameter, isEach ? weight.Narrow(0, part, 1) : weight, place, layout);
        }
    };

    /// <summary>Loads something of each input of each part: [parts, inputs], or [inputs] where there is one part. A weight without a part is that of all.</summary>
    public static WeightLoader OfInputs(LinearLayout layout) => (parameter, weight, shard) =>
    {
        var own = weight;
        if (layout.SplitsInputs)
        {
            if (weight.Shape != new Shape(layout.InputSize))
            {
                throw Mismatch(parameter, weight, layout, $"there is one for each of {layout.InputSize} inputs");
            }

            own = weight.Narrow(0, layout.Parallel.Rank * layout.InputSizePerRank, layout.InputSizePerRank);
        }

        foreach (var part in Parts(parameter, weight, shard, layout))
        {
            using var place = parameter.Shape.Rank == 1 ? null : parameter.Data.Select(0, part);
            Copy(parameter, own, place ?? parameter.Data, layout);
        }
    };

    /// <summary>Loads the bias of a layer that has none: zeros, and nothing else.</summary>
    public static WeightLoader Zeros(LinearLayout layout)
    {
        var load = WeightLoaders.Linear(layout, ParameterAxes.Bias);
        return (parameter, weight, shard) =>
        {
            load(parameter, weight, shard);
            using var values = weight.Materialize().To(DType.F32, HostDevice.Shared);
            var index = values.AsReadOnlySpan<float>().IndexOfAnyExcept(0);
            if (index >= 0)
            {
                throw new ModelMismatchException(
                    null,
                    [
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"tensor {Quoted.Name(weight.Name)} has {values.AsReadOnlySpan<float>()[index]} at {index}, and {Quoted.Name(parameter.Name)} is of a layer without a bias, for which GPTQ writes zeros"),
                    ],
                    "Is this the model's checkpoint, and its config.json?");
            }
        };
    }

    private static void Copy(Parameter parameter, Weight weight, Tensor place, LinearLayout layout)
    {
        if (place.Shape != weight.Shape && (place.ElementCount != 1 || weight.Shape.ElementCount != 1))
        {
            throw Mismatch(parameter, weight, layout, $"its place there has shape {place.Shape}");
        }

        weight.CopyTo(place);
    }

    private static IEnumerable<int> Parts(Parameter parameter, Weight weight, ShardId shard, LinearLayout layout)
    {
        if (shard.Part is null)
        {
            return Enumerable.Range(0, layout.Parts.Length);
        }

        var found = layout.Parts.Select(part => part.Id).ToList().IndexOf(shard.Part);
        return found >= 0 ? [found] : throw Mismatch(parameter, weight, layout, $"it has no part {Quoted.Name(shard.Part)}, only {string.Join(", ", layout.Parts.Select(part => part.Id))}");
    }

    private static ModelMismatchException Mismatch(Parameter parameter, Weight weight, LinearLayout layout, string problem) => new(
        null,
        [
            $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape} "
            + $"on rank {layout.Parallel.Rank} of {layout.Parallel.WorldSize}: {problem}",
        ]);
}
