using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Makes 8 bits of an unquantised weight after its load: <c>weight</c> becomes F8_E4M3, and <c>weight_scale</c>, [1], is what brings it back: the largest magnitude divided by 448, at
/// least 1 / (448 * 512). Immutable.
/// </summary>
/// <remarks>As vLLM's <c>scaled_fp8_quant</c>: each value is multiplied by the scale's reciprocal in F32, and rounded to nearest even.</remarks>
public sealed class OnlineFp8LinearMethod : IQuantizeMethod
{
    // The largest F8_E4M3.
    private const float Largest = 448;

    // vLLM's, below which the reciprocal would leave what F8_E4M3 tells apart.
    private const float LeastScale = 1 / (Largest * 512);

    // What is looked at as F32 at a time: 16 MiB.
    private const long PartElements = 1L << 22;

    /// <inheritdoc/>
    public void CreateWeights(Module layer)
    {
        var (linear, layout) = LinearLayers.Of(layer);
        _ = linear.Register("weight", new Parameter(linear.DType, LinearLayers.WeightShape(layout), WeightLoaders.Linear(layout, ParameterAxes.Weight)) { Conversion = ParameterConversion.FromFloats });
    }

    /// <inheritdoc/>
    /// <remarks>A layer that was processed has a <c>weight_scale</c>, and is left as it is.</remarks>
    /// <exception cref="ModelMismatchException">A value is NaN or infinite, and has no scale.</exception>
    public void ProcessWeightsAfterLoading(Module layer, Device device)
    {
        var (linear, _) = LinearLayers.Of(layer);
        var weight = linear.Parameters["weight"];
        if (linear.Parameters.ContainsKey("weight_scale"))
        {
            return;
        }

        var place = weight.Data.Device;
        var scale = weight.IsMeta ? 1 : Math.Max((float)LargestMagnitude(linear, weight.Data) / Largest, LeastScale);
        using var reciprocal = Scalar(1 / scale, place);
        var result = weight.Data.Dequantize(BlockScaledScheme.PerTensor, new QuantizationCompanions(reciprocal), DType.F8_E4M3);
        var kept = Scalar(scale, place);
        weight.SetData(result);
        _ = linear.Register("weight_scale", new Parameter(kept));
    }

    private static Tensor Scalar(float value, Device device)
    {
        if (device.Kind == DeviceKind.Meta)
        {
            return Tensor.Empty(DType.F32, new Shape(1), device);
        }

        using var onHost = Tensor.FromValues<float>(DType.F32, new Shape(1), [value]);
        return onHost.To(device);
    }

    private static double LargestMagnitude(LinearLayer linear, Tensor weight)
    {
        if (weight.ElementCount == 0)
        {
            return 0;
        }

        var rows = Math.Max(1, PartElements / weight.Shape[1]);
        var all = new Moments();
        using var stream = weight.Device.CreateStream();
        for (long row = 0; row < weight.Shape[0]; row += rows)
        {
            using var part = weight.Narrow(0, row, Math.Min(rows, weight.Shape[0] - row));
            using var values = part.To(DType.F32);
            var chunks = new Moments[Moments.CountChunks(values.ElementCount)];
            stream.Summarise(values.Memory, values.ByteOffset, DType.F32, values.ElementCount, chunks);
            foreach (var chunk in chunks)
            {
                all = all.With(chunk);
            }
        }

        var odd = all.Count - all.Finite;
        return odd == 0
            ? Math.Max(all.Maximum, -all.Minimum)
            : throw new ModelMismatchException(null, [$"{odd} values of the weight of layer {Quoted.Name(linear.Prefix)} are NaN or infinite, and no scale brings them to 8 bits"]);
    }
}
