using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What methods of linear layers ask of them.</summary>
internal static class LinearLayers
{
    public static (LinearLayer Layer, LinearLayout Layout) Of(Module layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer is LinearLayer linear
            ? (linear, linear.Layout)
            : throw new ArgumentException($"The method is one of linear layers, and {layer.ClassName} is none.", nameof(layer));
    }

    /// <summary>Checks that a layer computes with a dtype that numbers are dequantised to.</summary>
    /// <exception cref="UnsupportedCheckpointException">It does not.</exception>
    public static void CheckDType(LinearLayer layer)
    {
        if (layer.DType is not (DType.F32 or DType.F16 or DType.BF16))
        {
            throw new UnsupportedCheckpointException(
                $"quantised layers in {layer.DType.Name}", null, $"layer {Quoted.Name(layer.Prefix)} is quantised, and is dequantised to F32, F16 or BF16, not to {layer.DType.Name}.");
        }
    }

    /// <summary>This rank's weight: [outputs, inputs].</summary>
    public static Shape WeightShape(LinearLayout layout) => new(layout.OutputSizePerRank, layout.InputSizePerRank);

    /// <summary>The outputs of each packed part on this rank.</summary>
    public static IEnumerable<(long Start, long Size)> PartRanges(LinearLayout layout)
    {
        long start = 0;
        foreach (var part in layout.Parts)
        {
            var size = layout.SizePerRank(part);
            yield return (start, size);
            start += size;
        }
    }
}
