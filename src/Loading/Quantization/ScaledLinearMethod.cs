using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Weights of 8 bits with scales: <c>weight</c>, its scales, zero points where it has them, and scales of activations, which are taken and not used. After the load there is <c>weight</c> in the layer's dtype
/// alone: computed in F32 on the device, rounded once. Immutable.
/// </summary>
public sealed class ScaledLinearMethod : IQuantizeMethod
{
    private readonly DType _stored;
    private readonly ScaleLayout _layout;
    private readonly string _scaleName;
    private readonly bool _hasZeroPoints;
    private readonly bool _hasInputScale;

    /// <summary>Makes the method.</summary>
    /// <param name="stored">The stored type: a float of 8 bits or I8.</param>
    /// <param name="layout">What a scale is for.</param>
    /// <param name="scaleName">The parameter that has them: <c>weight_scale</c>, or <c>weight_scale_inv</c>.</param>
    /// <param name="hasZeroPoints">Whether there is a <c>weight_zero_point</c>, of I8.</param>
    /// <param name="hasInputScale">Whether the checkpoint has an <c>input_scale</c>.</param>
    /// <exception cref="ArgumentException">The type is not stored with scales, or not with zero points where they are asked for; or the scales' name is empty.</exception>
    public ScaledLinearMethod(DType stored, ScaleLayout layout, string scaleName, bool hasZeroPoints = false, bool hasInputScale = false)
    {
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentException.ThrowIfNullOrEmpty(scaleName);
        if (!BlockScaledScheme.Stored.Contains(stored) || (hasZeroPoints && stored != DType.I8))
        {
            throw new ArgumentException($"{stored.Name} is not stored with scales{(hasZeroPoints ? " and zero points" : "")}.", nameof(stored));
        }

        (_stored, _layout, _scaleName, _hasZeroPoints, _hasInputScale) = (stored, layout, scaleName, hasZeroPoints, hasInputScale);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The layer is not linear.</exception>
    /// <exception cref="UnsupportedCheckpointException">This rank's share of it begins inside a block of a scale, or it computes with another dtype than F32, F16 or BF16.</exception>
    public void CreateWeights(Module layer)
    {
        var (linear, layout) = LinearLayers.Of(layer);
        LinearLayers.CheckDType(linear);
        CheckBlocks(linear);
        _ = linear.Register("weight", new Parameter(_stored, LinearLayers.WeightShape(layout), WeightLoaders.Linear(layout, ParameterAxes.Weight)) { Conversion = ParameterConversion.None });
        RegisterCompanion(linear, _scaleName, DType.F32);
        if (_hasZeroPoints)
        {
            RegisterCompanion(linear, "weight_zero_point", DType.I8);
        }

        if (_hasInputScale)
        {
            // Weights that are dequantised meet activations that are not quantised.
            _ = linear.Register("input_scale", new Parameter(DType.F32, new Shape(layout.Parts.Length), PartLoaders.Number(layout)) { IsRequired = false });
        }
    }

    /// <inheritdoc/>
    /// <remarks>A layer that was processed has no scales any more, and is left as it is.</remarks>
    public void ProcessWeightsAfterLoading(Module layer, Device device)
    {
        var (linear, layout) = LinearLayers.Of(layer);
        if (!linear.Parameters.TryGetValue(_scaleName, out var scale))
        {
            return;
        }

        var weight = linear.Parameters["weight"];
        var zeros = linear.Parameters.GetValueOrDefault("weight_zero_point");
        var result = Tensor.Empty(linear.DType, weight.Shape, weight.Data.Device);
        try
        {
            if (!_layout.IsPerPart)
            {
                result.DequantizeFrom(weight.Data, _layout.Scheme, new QuantizationCompanions(scale.Data, zeros?.Data));
            }
            else
            {
                foreach (var (part, (start, size)) in LinearLayers.PartRanges(layout).Index())
                {
                    using var rows = result.Narrow(0, start, size);
                    using var stored = weight.Data.Narrow(0, start, size);
                    using var own = scale.Data.Narrow(0, part, 1);
                    using var zero = zeros?.Data.Narrow(0, part, 1);
                    rows.DequantizeFrom(stored, _layout.Scheme, new QuantizationCompanions(own, zero));
                }
            }
        }
        catch
        {
            result.Dispose();
            throw;
        }

        weight.SetData(result);
        foreach (var name in (string[])[_scaleName, "weight_zero_point", "input_scale"])
        {
            _ = linear.RemoveParameter(name);
        }
    }

    private void RegisterCompanion(LinearLayer linear, string name, DType dtype)
    {
        var layout = linear.Layout;
        var conversion = dtype == DType.F32 ? ParameterConversion.FromFloats : ParameterConversion.None;
        var parameter = _layout.IsPerPart
            ? new Parameter(dtype, new Shape(layout.Parts.Length), PartLoaders.Number(layout)) { Conversion = conversion }
            : new Parameter(
                dtype,
                _layout.Scheme.ScaleShape(LinearLayers.WeightShape(layout)),
                WeightLoaders.Linear(layout, _layout.Inputs == long.MaxValue ? new ParameterAxes(0, null, _layout.Outputs) : new ParameterAxes(0, 1, _layout.Outputs, _layout.Inputs)))
            { Conversion = conversion };
        _ = linear.Register(name, parameter);
    }

    // The loaders would say so too, of the first tensor; here it is known before anything is read.
    private void CheckBlocks(LinearLayer linear)
    {
        if (_layout.IsPerPart)
        {
            return;
        }

        var layout = linear.Layout;
        var ranks = layout.Parallel.WorldSize;
        if (layout.SplitsInputs && ranks > 1 && _layout.Inputs != long.MaxValue && layout.InputSizePerRank % _layout.Inputs != 0)
        {
            throw Misaligned(linear, "input", layout.InputSizePerRank, _layout.Inputs);
        }

        for (var i = 0; i < layout.Parts.Length; i++)
        {
            var part = layout.Parts[i];
            var size = layout.SizePerRank(part);
            var isShared = !layout.SplitsInputs && ranks > part.Replicas;
            if ((isShared || i < layout.Parts.Length - 1) && size % _layout.Outputs != 0)
            {
                throw Misaligned(linear, "output", size, _layout.Outputs);
            }
        }
    }

    private static UnsupportedCheckpointException Misaligned(LinearLayer linear, string what, long size, long block) => new("uneven shares of quantised layers", null, string.Create(
        CultureInfo.InvariantCulture,
        $"{size} {what} features of layer {Quoted.Name(linear.Prefix)} on each of {linear.Layout.Parallel.WorldSize} ranks are no whole blocks of {block}, which have one scale each: use fewer ranks."));
}
