using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A stored matrix and the tensors beside it as a stream dequantises them: without ownership.</summary>
/// <param name="Scheme">What they stand for.</param>
/// <param name="Payload">The stored matrix; elements of a row lie side by side.</param>
/// <param name="Scales">The scales; as the payload.</param>
/// <param name="ZeroPoints">The zero points; null for none.</param>
/// <param name="GroupIndices">The groups of inputs (<c>g_idx</c>), each of which the caller has seen to lie within the scales; null for their order.</param>
public readonly record struct QuantizedView(
    QuantizationScheme Scheme, StridedView Payload, StridedView Scales, StridedView? ZeroPoints = null, StridedView? GroupIndices = null)
{
    // Rows and columns are counted as ints, where devices divide; four columns are looked at beyond the last.
    private const long MostRows = int.MaxValue - 32;

    /// <summary>All views.</summary>
    internal IEnumerable<StridedView> Views => ((StridedView?[])[Payload, Scales, ZeroPoints, GroupIndices]).OfType<StridedView>();

    /// <summary>The same with each view as it is elsewhere.</summary>
    internal QuantizedView With(Func<StridedView, StridedView> move) => new(
        Scheme, move(Payload), move(Scales), ZeroPoints is { } zeros ? move(zeros) : null, GroupIndices is { } groups ? move(groups) : null);

    /// <summary>Checks dtypes, shapes and strides, and gives the views the shapes that bodies count on.</summary>
    /// <param name="destination">Where the values go.</param>
    /// <returns>The views: scales and zero points are matrices.</returns>
    /// <exception cref="ArgumentException">Something does not fit; the message says what, with both shapes.</exception>
    internal QuantizedView Checked(in StridedView destination)
    {
        ArgumentNullException.ThrowIfNull(Scheme, "source");
        var result = Scheme.ResultShape(Payload.Shape);
        if (destination.Shape != result || !destination.IsContiguous)
        {
            throw new ArgumentException(
                $"Values of shape {result} are dequantised into a contiguous matrix of that shape, not into {destination.Shape} with strides [{string.Join(", ", destination.Strides)}].",
                nameof(destination));
        }

        if (result[0] > MostRows || result[1] > MostRows)
        {
            throw new ArgumentException($"A dimension of {result} is larger than {MostRows}, as far as rows and columns are counted: dequantise it in parts.", nameof(destination));
        }

        return Scheme switch
        {
            BlockScaledScheme blocks => CheckedBlocks(blocks, destination),
            GptqScheme gptq => CheckedGptq(gptq, destination, result),
            _ => throw new ArgumentException($"{Scheme.GetType().Name} is not known here.", nameof(destination)),
        };
    }

    private QuantizedView CheckedBlocks(BlockScaledScheme scheme, in StridedView destination)
    {
        CheckType("The matrix", Payload, [.. BlockScaledScheme.Stored]);
        CheckType("The result", destination, [.. BlockScaledScheme.Targets]);
        CheckType("The scales", Scales, DType.F32, DType.F16, DType.BF16);
        CheckRows("the matrix", Payload);
        if (GroupIndices is not null)
        {
            throw new ArgumentException("Blocks have no group indices: leave them out.");
        }

        var grid = scheme.ScaleShape(Payload.Shape);
        if (ZeroPoints is not { } zeros)
        {
            return this with { Scales = AsMatrix("The scales", Scales, grid) };
        }

        if (Payload.DType != DType.I8)
        {
            throw new ArgumentException($"Only I8 has zero points, and the matrix is {Payload.DType.Name}.");
        }

        CheckType("The zero points", zeros, DType.I8);
        return this with { Scales = AsMatrix("The scales", Scales, grid), ZeroPoints = AsMatrix("The zero points", zeros, grid) };
    }

    private QuantizedView CheckedGptq(GptqScheme scheme, in StridedView destination, Shape result)
    {
        CheckType("qweight", Payload, DType.I32, DType.U32);
        CheckType("The result", destination, [.. GptqScheme.Targets]);
        CheckType("The scales", Scales, DType.F32, DType.F16, DType.BF16);
        CheckRows("qweight", Payload);
        var (outputs, inputs) = (result[0], result[1]);
        if (ZeroPoints is not { } zeros)
        {
            throw new ArgumentException("GPTQ has zero points (qzeros), and none are given.");
        }

        CheckType("qzeros", zeros, DType.I32, DType.U32);
        var counted = inputs == 0 ? 0 : ((inputs - 1) / scheme.GroupSize) + 1;
        var groups = GroupIndices is null || Scales.Shape.Rank != 2 ? counted : Scales.Shape[0];
        var scales = AsMatrix("The scales", Scales, new Shape(groups, outputs));
        var words = (outputs + scheme.NumbersPerWord - 1) / scheme.NumbersPerWord;
        if (GroupIndices is { } indices)
        {
            CheckType("g_idx", indices, DType.I32, DType.U32);
            if (indices.Shape != new Shape(inputs) || !indices.IsContiguous)
            {
                throw new ArgumentException($"g_idx has a group for each of {inputs} inputs side by side, and not shape {indices.Shape}.");
            }
        }

        return this with { Scales = scales, ZeroPoints = AsMatrix("qzeros", zeros, new Shape(groups, words)) };
    }

    private static void CheckType(string what, in StridedView view, params ReadOnlySpan<DType> types)
    {
        if (!types.Contains(view.DType))
        {
            throw new ArgumentException($"{what} can be {string.Join(", ", types.ToArray().Select(dtype => dtype.Name))}, and not {view.DType.Name}.");
        }
    }

    private static void CheckRows(string what, in StridedView view)
    {
        if (view.Shape[1] > 1 && view.Strides[1] != 1)
        {
            throw new ArgumentException($"The rows of {what} do not lie side by side (strides [{string.Join(", ", view.Strides)}]): copy it first.");
        }
    }

    private static StridedView AsMatrix(string what, in StridedView view, Shape shape)
    {
        if (view.Shape == shape)
        {
            CheckRows(what, view);
            return view;
        }

        // A column of scales is written in one dimension as well, and a single scale in none.
        if (view.Shape.ElementCount == shape.ElementCount && view.IsContiguous && (shape[0] <= 1 || shape[1] <= 1))
        {
            return view with { Shape = shape, Strides = shape.RowMajorStrides() };
        }

        throw new ArgumentException($"{what} have shape {view.Shape}, and {shape} belongs to the matrix.");
    }
}
