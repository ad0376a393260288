using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Puts one weight into a linear layer's parameter, or into one expert's part of it.</summary>
/// <param name="layout">The layer.</param>
/// <param name="axes">What the dimensions count.</param>
/// <param name="place">The parameter, or the part of it that is this layer's.</param>
/// <param name="mismatch">What is said where they do not fit.</param>
internal readonly struct LinearPlacement(LinearLayout layout, ParameterAxes axes, Tensor place, WeightMismatch mismatch)
{
    /// <summary>The shape of a weight of all parts, packed, over all ranks.</summary>
    /// <param name="layout">The layer.</param>
    /// <param name="axes">What the dimensions count.</param>
    /// <param name="parameter">The parameter's shape on this rank.</param>
    public static Shape WholeOf(LinearLayout layout, ParameterAxes axes, Shape parameter)
    {
        var whole = parameter;
        if (axes.Output is { } output && output < parameter.Rank)
        {
            whole = whole.With(output, Units(layout.Parts.Sum(part => part.Size), axes.OutputUnit));
        }

        if (layout.SplitsInputs && axes.Input is { } input && input < parameter.Rank)
        {
            whole = whole.With(input, Units(layout.InputSize, axes.InputUnit));
        }

        return whole;
    }

    /// <summary>Copies this rank's share of a weight.</summary>
    /// <param name="weight">The weight, or one expert's part of it.</param>
    /// <param name="id">The part that it is; null for all.</param>
    public void Load(Weight weight, string? id)
    {
        if (axes.IsPerPart)
        {
            LoadPerPart(weight, id);
        }
        else if (id is null && layout.Parts.Length > 1)
        {
            LoadAll(weight);
        }
        else
        {
            LoadPart(weight, Find(id));
        }
    }

    private PackedPart Find(string? id) =>
        layout.Find(id)
        ?? throw mismatch.Of(
            layout.Parts is [{ Id: null }]
                ? "the parameter has no parts" : $"the parameter has only the parts {string.Join(", ", layout.Parts.Select(part => part.Id))}");

    private void LoadPerPart(Weight weight, string? id)
    {
        var parts = layout.Parts.Length;
        if (place.Shape.Rank == 0 ? parts != 1 : place.Shape[0] != parts)
        {
            throw mismatch.Of($"the layer has {parts} parts, and the parameter a number for each");
        }

        if (place.Shape.Rank == 0)
        {
            _ = Find(id);
            mismatch.Copy(weight, place);
        }
        else if (id is null && weight.Shape == place.Shape)
        {
            mismatch.Copy(weight, place);
        }
        else
        {
            // What was quantised as one has one scale, which is that of each part.
            var (first, count) = id is null ? (0, parts) : (layout.Parts.IndexOf(Find(id)), 1);
            for (var i = first; i < first + count; i++)
            {
                using var one = place.Narrow(0, i, 1);
                mismatch.Copy(weight, one);
            }
        }
    }

    private void LoadAll(Weight weight)
    {
        if (axes.Output is not { } output)
        {
            // What has no outputs is the same for all parts.
            LoadPart(weight, layout.Parts[0]);
            return;
        }

        CheckFeatures(weight, output, layout.Parts.Sum(part => part.Size), axes.OutputUnit, "output");
        long before = 0;
        foreach (var part in layout.Parts)
        {
            LoadPart(weight.Narrow(output, StartUnits(before, axes.OutputUnit), Units(part.Size, axes.OutputUnit)), part);
            before += part.Size;
        }
    }

    private void LoadPart(Weight weight, PackedPart part)
    {
        if (layout.SplitsInputs && axes.Input is { } input)
        {
            var share = layout.InputSizePerRank;
            weight = Narrow(weight, input, layout.InputSize, layout.Parallel.Rank * share, share, axes.InputUnit, "input");
        }

        if (axes.Output is not { } output)
        {
            mismatch.Copy(weight, place);
            return;
        }

        weight = Narrow(weight, output, part.Size, layout.StartOnRank(part), layout.SizePerRank(part), axes.OutputUnit, "output");
        if (layout.Parts.Length == 1)
        {
            mismatch.Copy(weight, place);
            return;
        }

        var start = StartUnits(layout.Parts.TakeWhile(other => other != part).Sum(layout.SizePerRank), axes.OutputUnit);
        var size = Units(layout.SizePerRank(part), axes.OutputUnit);
        if (output >= place.Shape.Rank || start > place.Shape[output] - size)
        {
            throw mismatch.Of($"{part.Id} takes {start} to {start + size} of dimension {output} of the parameter, which has no such part");
        }

        using var packed = place.Narrow(output, start, size);
        mismatch.Copy(weight, packed);
    }

    private void CheckFeatures(Weight weight, int dimension, long features, long unit, string kind)
    {
        var expected = Units(features, unit);
        if (dimension >= weight.Shape.Rank || weight.Shape[dimension] != expected)
        {
            throw mismatch.Of(
                $"{expected} were expected in dimension {dimension}, for {features} {kind} features{(unit == 1 ? "" : $", {unit} to each")} over all ranks");
        }
    }

    // One number has no dimension to be narrowed.
    private static bool IsOne(Weight weight, long features) => features == 1 && weight.Shape.ElementCount == 1;

    private Weight Narrow(Weight weight, int dimension, long features, long start, long length, long unit, string kind)
    {
        if (IsOne(weight, features) && length == 1)
        {
            return weight;
        }

        CheckFeatures(weight, dimension, features, unit, kind);
        if (length == features)
        {
            return weight;
        }

        // On every rank alike, also on the first, whose share begins with an index in any case.
        if (length % unit != 0)
        {
            throw mismatch.Of($"a rank's share of {length} {kind} features would end inside a group of {unit} that are stored together");
        }

        return weight.Narrow(dimension, start / unit, length / unit);
    }

    private static long Units(long features, long unit) => (features + unit - 1) / unit;

    // Parts have to begin where an index does.
    private long StartUnits(long features, long unit) =>
        features % unit == 0
            ? features / unit
            : throw mismatch.Of($"feature {features}, where a part begins, is inside a group of {unit} that are stored together");
}
