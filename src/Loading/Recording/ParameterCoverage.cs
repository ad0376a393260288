using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Which elements of a parameter are written, and by which weight. Not safe for several threads.</summary>
/// <param name="parameter">The parameter's dimensions.</param>
internal sealed class ParameterCoverage(Shape parameter)
{
    // Places whose elements lie among others' are compared range by range; one with more ranges than this is taken to overlap nothing.
    private const long MostRanges = 1 << 20;

    private readonly List<WrittenPlace> _places = [];

    /// <summary>Adds a place.</summary>
    /// <param name="place">The place.</param>
    /// <param name="weight">The number of the weight that is written there.</param>
    /// <param name="other">The number of another weight that was written to some of its elements; -1 for none.</param>
    /// <returns>How many of its elements were not written before.</returns>
    public long Add(ParameterPlace place, int weight, out int other)
    {
        other = -1;
        if (ElementBox.Of(place, parameter) is not { } box)
        {
            return 0;
        }

        var unit = place.DType.IsBlock ? place.DType.BlockLength : 1;
        var units = place.Shape.ElementCount / unit;
        var added = Describe(place, box, weight);
        foreach (var written in _places)
        {
            var common = Common(added, written);
            units = Math.Max(0, units - common);
            if (common > 0 && written.Weight != weight && other < 0)
            {
                other = written.Weight;
            }
        }

        _places.Add(added);
        return units * unit;
    }

    /// <summary>Whether some of a place's elements were written before.</summary>
    public bool Overlaps(ParameterPlace place) =>
        ElementBox.Of(place, parameter) is { } box && _places.Exists(written => Common(Describe(place, box, 0), written) > 0);

    private static WrittenPlace Describe(ParameterPlace place, ElementBox box, int weight) =>
        new(box, box.Volume == place.Shape.ElementCount / (place.DType.IsBlock ? place.DType.BlockLength : 1), place, weight);

    private static long Common(in WrittenPlace left, in WrittenPlace right)
    {
        var common = left.Box.Common(right.Box);
        if (common == 0 || (left.FillsBox && right.FillsBox))
        {
            return common;
        }

        if (left.Place.RangeCount > MostRanges || right.Place.RangeCount > MostRanges)
        {
            return 0;
        }

        common = 0;
        var (lefts, rights) = (left.Place.Ranges(), right.Place.Ranges());
        for (var (i, j) = (0, 0); i < lefts.Length && j < rights.Length;)
        {
            var (first, second) = (lefts[i], rights[j]);
            common += Math.Max(0, Math.Min(first.End, second.End) - Math.Max(first.Start, second.Start));
            _ = first.End < second.End ? i++ : j++;
        }

        return common;
    }

    private readonly record struct WrittenPlace(ElementBox Box, bool FillsBox, ParameterPlace Place, int Weight);
}
