using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Elements that a rank's tensor and the whole of all ranks have in common. Immutable.</summary>
/// <param name="InWhole">Where they are in the whole.</param>
/// <param name="InRank">Where they are in the rank's tensor, in the same shape.</param>
/// <param name="Box">What of the whole they are.</param>
internal sealed record SplitShare(ParameterPlace InWhole, ParameterPlace InRank, ElementBox Box)
{
    /// <summary>Makes the share; null where it is no box of the whole.</summary>
    /// <param name="source">What is taken of the whole.</param>
    /// <param name="destination">Where it goes.</param>
    /// <param name="whole">The shape of the whole.</param>
    public static SplitShare? Of(StridedView source, StridedView destination, Shape whole)
    {
        var inWhole = ParameterPlace.Of(0, source);
        var unit = source.DType.IsBlock ? source.DType.BlockLength : 1;
        return ElementBox.Of(inWhole, whole) is { } box && box.Volume * unit == source.Shape.ElementCount
            ? new SplitShare(inWhole, ParameterPlace.Of(0, destination), box)
            : null;
    }

    /// <summary>Whether it has the very elements of another.</summary>
    public bool IsSame(SplitShare other) => Box.Volume == other.Box.Volume && Box.Common(other.Box) == Box.Volume;
}
