using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Parameters of linear layers.</content>
public static partial class WeightLoaders
{
    /// <summary>
    /// Loads a parameter of a linear layer: this rank's share of each packed part, or of the inputs. A weight without a part (<see cref="ShardId.None"/>) is
    /// all parts, packed as the parameter is, and each is split by itself.
    /// </summary>
    /// <param name="layout">The layer.</param>
    /// <param name="axes">What the parameter's dimensions count.</param>
    public static WeightLoader Linear(LinearLayout layout, ParameterAxes axes)
    {
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentNullException.ThrowIfNull(axes);
        return (parameter, weight, shard) =>
        {
            if (shard.Part is null && layout.Parts.Length > 1 && axes.Output is { } dimension)
            {
                long done = 0;
                foreach (var part in layout.Parts)
                {
                    var size = Units(part.Size, axes.OutputUnit);
                    LoadPart(parameter, Part(parameter, weight, layout, dimension, done, size), layout, axes, part);
                    done += size;
                }

                return;
            }

            var found = layout.Parts.FirstOrDefault(part => part.Id == shard.Part) ?? (layout.Parts.Length == 1 && shard.Part is null ? layout.Parts[0] : null)
                ?? throw Mismatch(parameter, weight, layout, $"it has no part {Quoted.Name(shard.Part ?? "")}, only {string.Join(", ", layout.Parts.Select(part => part.Id))}");
            LoadPart(parameter, weight, layout, axes, found);
        };
    }

    private static void LoadPart(Parameter parameter, Weight weight, LinearLayout layout, ParameterAxes axes, PackedPart part)
    {
        if (axes.IsPerPart)
        {
            using var place = parameter.Data.Narrow(0, layout.Parts.IndexOf(part), 1);
            CopyInto(place, parameter, weight, layout);
            return;
        }

        if (layout.SplitsInputs)
        {
            if (axes.Input is { } input)
            {
                var share = Units(layout.InputSizePerRank, axes.InputUnit);
                weight = Part(parameter, weight, layout, input, StartUnits(layout.Parallel.Rank * layout.InputSizePerRank, axes.InputUnit, parameter, weight, layout), share);
            }

            CopyInto(parameter.Data, parameter, weight, layout);
            return;
        }

        if (axes.Output is not { } output)
        {
            CopyInto(parameter.Data, parameter, weight, layout);
            return;
        }

        var size = Units(layout.SizePerRank(part), axes.OutputUnit);
        var before = layout.Parts.TakeWhile(other => other != part).Sum(layout.SizePerRank);
        using var packed = parameter.Data.Narrow(output, StartUnits(before, axes.OutputUnit, parameter, weight, layout), size);
        var source = Part(parameter, weight, layout, output, StartUnits(layout.StartOnRank(part), axes.OutputUnit, parameter, weight, layout), size);
        CopyInto(packed, parameter, source, layout);
    }

    private static void CopyInto(Gpu.Tensor place, Parameter parameter, Weight weight, LinearLayout layout)
    {
        if (place.Shape != weight.Shape && (place.Shape.ElementCount != 1 || weight.Shape.ElementCount != 1))
        {
            throw Mismatch(parameter, weight, layout, $"its place there has shape {place.Shape}, and it has {weight.Shape}");
        }

        weight.CopyTo(place);
    }

    private static Weight Part(Parameter parameter, Weight weight, LinearLayout layout, int dimension, long start, long length) =>
        dimension < weight.Shape.Rank && start <= weight.Shape[dimension] - length
            ? weight.Narrow(dimension, start, length)
            : throw Mismatch(
                parameter, weight, layout, $"{start} to {start + length} of dimension {dimension} are not within its shape {weight.Shape}");

    private static long Units(long features, long unit) => (features + unit - 1) / unit;

    // Shares have to begin where an index does.
    private static long StartUnits(long features, long unit, Parameter parameter, Weight weight, LinearLayout layout) =>
        features % unit == 0
            ? features / unit
            : throw Mismatch(
                parameter, weight, layout, string.Create(CultureInfo.InvariantCulture, $"feature {features}, where a share begins, is inside a group of {unit} that are stored together"));

    private static ModelMismatchException Mismatch(Parameter parameter, Weight weight, LinearLayout layout, string problem) => new(
        null,
        [
            $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape} "
            + $"on rank {layout.Parallel.Rank} of {layout.Parallel.WorldSize}: {problem}",
        ]);
}
