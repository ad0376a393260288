using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// GPTQ's layers: <c>qweight</c>, <c>qzeros</c>, <c>scales</c> and <c>g_idx</c>. After the load there is <c>weight</c>, [outputs, inputs] in the layer's dtype, in their place: computed in F32 on the device, rounded once. Immutable.
/// </summary>
/// <remarks>
/// Where ranks share the inputs, a rank has the groups of its own inputs; with act-order those may be any, and where its share begins inside a group it has one that another rank has too: then it has the scales and zero points of
/// all groups. Packed parts have a <c>g_idx</c> each. GPTQ writes biases of zero for layers that have none: a layer without takes them as an optional <c>bias</c>, whose loader refuses other values, and which is gone after the load.
/// </remarks>
public sealed class GptqLinearMethod : IQuantizeMethod
{
    private readonly GptqSettings _settings;

    /// <summary>Makes the method.</summary>
    public GptqLinearMethod(GptqSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        _settings = settings;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The layer is not linear.</exception>
    /// <exception cref="UnsupportedCheckpointException">This rank's share of it begins inside a word, or it computes with another dtype than F32, F16 or BF16.</exception>
    public void CreateWeights(Module layer)
    {
        var (linear, layout) = LinearLayers.Of(layer);
        var perWord = 32 / _settings.Bits;
        LinearLayers.CheckDType(linear);
        CheckWords(linear, perWord);
        var (outputs, inputs) = (layout.OutputSizePerRank, layout.InputSizePerRank);
        var groupSize = GroupSizeOf(layout);
        var splits = SplitsGroups(layout);
        var groups = splits ? inputs / groupSize : CountGroups(layout.InputSize, groupSize);
        var input = splits ? 0 : (int?)null;
        _ = linear.Register("qweight", Parameter(DType.I32, inputs / perWord, outputs, new ParameterAxes(1, 0, 1, perWord)));
        _ = linear.Register("qzeros", Parameter(DType.I32, groups, (outputs + perWord - 1) / perWord, new ParameterAxes(1, input, perWord, groupSize)));
        // F16 or BF16 in the checkpoint: in F32 both are what they are.
        _ = linear.Register("scales", Parameter(DType.F32, groups, outputs, new ParameterAxes(1, input, 1, groupSize)));
        var order = layout.Parts.Length == 1 ? new Shape(inputs) : new Shape(layout.Parts.Length, inputs);
        _ = linear.Register("g_idx", new Parameter(DType.I32, order, PartLoaders.OfInputs(layout)) { IsRequired = _settings.HasActivationOrder, Conversion = ParameterConversion.None });
        if (!linear.HasBias)
        {
            _ = linear.Register("bias", new Parameter(linear.DType, new Shape(outputs), PartLoaders.Zeros(layout)) { IsRequired = false });
        }

        Parameter Parameter(DType dtype, long rows, long columns, ParameterAxes axes) =>
            new(dtype, new Shape(rows, columns), WeightLoaders.Linear(layout, axes)) { Conversion = dtype == DType.I32 ? ParameterConversion.None : ParameterConversion.FromFloats };
    }

    /// <inheritdoc/>
    /// <remarks>A layer that was processed has no <c>qweight</c> any more, and is left as it is.</remarks>
    /// <exception cref="ModelMismatchException"><c>g_idx</c> says other groups than there are, or an order that the configuration does not say.</exception>
    public void ProcessWeightsAfterLoading(Module layer, Device device)
    {
        var (linear, layout) = LinearLayers.Of(layer);
        if (!linear.Parameters.TryGetValue("qweight", out var words))
        {
            return;
        }

        var (zeros, scales, order) = (linear.Parameters["qzeros"], linear.Parameters["scales"], linear.Parameters["g_idx"]);
        var scheme = new GptqScheme(_settings.Bits, GroupSizeOf(layout), _settings.ZeroOffset);
        var perWord = scheme.NumbersPerWord;
        var result = Tensor.Empty(linear.DType, LinearLayers.WeightShape(layout), words.Data.Device);
        try
        {
            foreach (var (part, (start, size)) in LinearLayers.PartRanges(layout).Index())
            {
                using var rows = result.Narrow(0, start, size);
                using var own = words.Data.Narrow(1, start, size);
                using var scale = scales.Data.Narrow(1, start, size);
                using var zero = zeros.Data.Narrow(1, start / perWord, (size + perWord - 1) / perWord);
                using var groups = GroupsOf(linear, order, part, words.IsMeta);
                try
                {
                    rows.DequantizeFrom(own, scheme, new QuantizationCompanions(scale, zero, groups));
                }
                catch (ArgumentException exception)
                {
                    throw new ModelMismatchException(null, [$"layer {Quoted.Name(linear.Prefix)} cannot be dequantised: {exception.Message.TrimEnd('.')}"], innerException: exception);
                }
            }
        }
        catch
        {
            result.Dispose();
            throw;
        }

        foreach (var name in (string[])["qweight", "qzeros", "scales", "g_idx"])
        {
            _ = linear.RemoveParameter(name);
        }

        if (!linear.HasBias)
        {
            _ = linear.RemoveParameter("bias");
        }

        _ = linear.Register("weight", new Parameter(result, WeightLoaders.Linear(layout, ParameterAxes.Weight)));
    }

    private long GroupSizeOf(LinearLayout layout) => _settings.GroupSize == -1 ? Math.Max(1, layout.InputSize) : _settings.GroupSize;

    private static long CountGroups(long inputs, long groupSize) => (inputs + groupSize - 1) / groupSize;

    // Whether a rank has the scales of its own groups only.
    private bool SplitsGroups(LinearLayout layout) =>
        layout is { SplitsInputs: true, Parallel.WorldSize: > 1 } && !_settings.HasActivationOrder && layout.InputSizePerRank % GroupSizeOf(layout) == 0;

    // The groups of a part's inputs as a tensor; null where they are in order from the first group on.
    private Tensor? GroupsOf(LinearLayer linear, Parameter order, int part, bool isMeta)
    {
        var layout = linear.Layout;
        var first = layout.SplitsInputs ? layout.Parallel.Rank * layout.InputSizePerRank : 0;
        var splits = SplitsGroups(layout);
        var groupSize = GroupSizeOf(layout);
        if (order.IsMeta && !isMeta)
        {
            // A checkpoint without act-order need not have it.
            return !layout.SplitsInputs || splits ? null : InOrder();
        }

        if (!splits)
        {
            return order.Shape.Rank == 1 ? order.Data.View(order.Shape[0]) : order.Data.Select(0, part);
        }

        if (!isMeta)
        {
            CheckOrder();
        }

        return null;

        Tensor InOrder()
        {
            var groups = new int[layout.InputSizePerRank];
            for (long i = 0; i < groups.Length; i++)
            {
                groups[i] = checked((int)((first + i) / groupSize));
            }

            using var onHost = Tensor.FromValues<int>(DType.I32, new Shape(groups.Length), groups);
            return onHost.To(linear.Parameters["qweight"].Data.Device);
        }

        // The scales of other ranks' groups are not here.
        void CheckOrder()
        {
            using var view = order.Shape.Rank == 1 ? order.Data.View(order.Shape[0]) : order.Data.Select(0, part);
            using var onHost = view.To(HostDevice.Shared);
            var groups = onHost.AsReadOnlySpan<int>();
            for (var i = 0; i < groups.Length; i++)
            {
                if (groups[i] != (first + i) / groupSize)
                {
                    throw new ModelMismatchException(
                        null,
                        [
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $"g_idx of layer {Quoted.Name(linear.Prefix)} says group {groups[i]} for input {first + i}, and without act-order (desc_act) that is {(first + i) / groupSize}"),
                        ],
                        "Set desc_act in the model's quantization_config, with which each rank has the scales of all groups.");
                }
            }
        }
    }

    private static void CheckWords(LinearLayer linear, int perWord)
    {
        var layout = linear.Layout;
        if (layout.InputSizePerRank % perWord != 0)
        {
            throw Misaligned(linear, "input", layout.InputSizePerRank, perWord);
        }

        for (var i = 0; i < layout.Parts.Length; i++)
        {
            var part = layout.Parts[i];
            var isShared = !layout.SplitsInputs && layout.Parallel.WorldSize > part.Replicas;
            if ((isShared || i < layout.Parts.Length - 1) && layout.SizePerRank(part) % perWord != 0)
            {
                throw Misaligned(linear, "output", layout.SizePerRank(part), perWord);
            }
        }
    }

    private static UnsupportedCheckpointException Misaligned(LinearLayer linear, string what, long size, int perWord) => new("uneven shares of quantised layers", null, string.Create(
        CultureInfo.InvariantCulture,
        $"{size} {what} features of layer {Quoted.Name(linear.Prefix)} on each of {linear.Layout.Parallel.WorldSize} ranks do not fill whole words of {perWord} numbers: use fewer ranks."));
}
