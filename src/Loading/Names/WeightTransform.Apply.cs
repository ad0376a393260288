using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <content>Making the tensors.</content>
public sealed partial record WeightTransform
{
    // Values changed at a time: a span counts in 32 bits, and a norm, the only tensor that is changed in practice, is far shorter.
    private const int ChunkElements = 1 << 24;

    /// <summary>Whether values are others afterwards, and not only elsewhere.</summary>
    internal bool ChangesValues => Kind is WeightTransformKind.MinusOne or WeightTransformKind.PlusOne;

    private bool MovesRows => Kind is WeightTransformKind.Unpermute or WeightTransformKind.Permute;

    /// <summary>Makes the checkpoint's tensor from the GGUF tensor, on the same device.</summary>
    /// <param name="source">The GGUF tensor; it stays the caller's.</param>
    /// <param name="dtype">
    /// The type of the result, one of <see cref="Codecs.Targets"/>, to which values are rounded once; null for the source's own.
    /// Blocks stay as they are where only whole rows move: <see cref="None"/>, <see cref="Unpermute"/>, <see cref="Rows"/> and
    /// <see cref="Expert"/>. To transpose them or to change their values they are decoded first, and a type must be given.
    /// </param>
    /// <returns>
    /// A tensor that is the caller's to dispose. Where the type stays, all but <see cref="Unpermute"/> and <see cref="MinusOne"/>
    /// give a view that shares the source's memory, keeps it alive and, transposed, is not contiguous; everything else is a
    /// contiguous copy.
    /// </returns>
    /// <remarks>
    /// <see cref="MinusOne"/> is for host tensors, and computed in float32 from the decoded value (F64 is rounded to float32
    /// first): x - 1 is exact for x from 0.5 to 2, and else float32's nearest.
    /// </remarks>
    /// <exception cref="ArgumentException">The shape does not fit, the type must be given, or there is no conversion to it.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public Tensor Apply(Tensor source, DType? dtype = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ObjectDisposedException.ThrowIf(source.IsDisposed, source);
        var shape = ShapeOf(source.Shape);
        var target = dtype ?? source.DType;
        if (ChangesValues)
        {
            return AddToValues(source, target);
        }

        if (MovesElementsOfGroups(source.DType, source.Shape))
        {
            using var decoded = Decode(source, target);
            return Apply(decoded);
        }

        if (MovesRows)
        {
            return Filled(target, shape, source);
        }

        var view = Part(source);
        if (target == source.DType)
        {
            return view;
        }

        using (view)
        {
            return view.To(target);
        }
    }

    /// <summary>
    /// Writes the checkpoint's tensor into one that is there, whatever its strides, converting between types as
    /// <see cref="Tensor.CopyFrom"/> does: a place in a packed weight, or memory that was allocated before.
    /// </summary>
    /// <param name="source">The GGUF tensor.</param>
    /// <param name="destination">A tensor of the result's shape, which must not overlap the source.</param>
    /// <exception cref="ArgumentException">A shape does not fit, or there is no conversion.</exception>
    /// <inheritdoc cref="Apply" path="/remarks"/>
    /// <exception cref="ObjectDisposedException">Either tensor was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public void Write(Tensor source, Tensor destination)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        var shape = ShapeOf(source.Shape);
        if (destination.Shape != shape)
        {
            throw new ArgumentException(
                $"The transform {this} makes {shape} of a tensor of shape {source.Shape}, and the destination is {destination.Shape}.", nameof(destination));
        }

        if (MovesRows && !MovesElementsOfGroups(source.DType, source.Shape))
        {
            MoveRows(source, destination);
            return;
        }

        using var result = NeedsValues(source.DType, source.Shape) ? Apply(source, destination.DType) : Part(source);
        destination.CopyFrom(result);
    }

    /// <summary>Whether this is done to decoded values alone: it changes them, or moves elements that share bytes.</summary>
    /// <param name="dtype">The type of the GGUF tensor.</param>
    /// <param name="source">Its shape, which fits (<see cref="ShapeOf"/>).</param>
    internal bool NeedsValues(DType dtype, Shape source) => ChangesValues || MovesElementsOfGroups(dtype, source);

    // Elements that share bytes cannot be moved apart: those of F4, F6 and the blocks.
    private bool MovesElementsOfGroups(DType dtype, Shape source) =>
        dtype.BlockLength != 1
        && (Kind == WeightTransformKind.Transpose || (MovesRows && (source.Rank == 1 || !dtype.FillsBytes(source[^1]))));

    // Everything that is a view.
    private Tensor Part(Tensor source) => Kind switch
    {
        WeightTransformKind.Transpose => source.Transpose(0, 1),
        WeightTransformKind.Rows => source.Narrow(0, Start, Count),
        WeightTransformKind.Expert => source.Select(0, Start),
        // Narrowed to all of it, since a scalar has no other view of itself than this and none of its dimensions is split.
        _ => source.Shape.Rank == 0 ? source.View() : source.Narrow(0, 0, source.Shape[0]),
    };

    private Tensor Filled(DType dtype, Shape shape, Tensor source)
    {
        var result = Tensor.Empty(dtype, shape, source.Device);
        try
        {
            MoveRows(source, result);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>Copies rows to where they belong in each head.</summary>
    /// <param name="source">The rows; some, of whole heads.</param>
    /// <param name="heads">How many heads there are: from a GGUF's order to the checkpoint's, or where it is negative, back.</param>
    /// <param name="destination">A tensor of the same shape, whatever its strides.</param>
    internal static void MoveRows(Tensor source, long heads, Tensor destination)
    {
        if (source.ElementCount == 0)
        {
            // Nothing moves, and of no rows there may be any number of heads, also more than a shape can have.
            return;
        }

        // Each head's rows seen as [half, pair] on the checkpoint's side and as [pair, half] on the GGUF's.
        var (count, pairs) = (Math.Abs(heads), source.Shape[0] / Math.Abs(heads) / 2);
        var row = source.Shape.Dimensions[1..];
        using var from = source.View(heads > 0 ? [count, pairs, 2, .. row] : [count, 2, pairs, .. row]);
        using var moved = from.Transpose(1, 2);
        using var to = destination.View(heads > 0 ? [count, 2, pairs, .. row] : [count, pairs, 2, .. row]);
        to.CopyFrom(moved);
    }

    private void MoveRows(Tensor source, Tensor destination) => MoveRows(source, Kind == WeightTransformKind.Unpermute ? Heads : -Heads, destination);

    private Tensor AddToValues(Tensor source, DType target)
    {
        if (source.Device.Kind == DeviceKind.Meta)
        {
            return Decode(source, target);
        }

        if (!source.Device.IsHost)
        {
            throw new ArgumentException($"{this} is computed on the host, and the tensor is {source}: copy it to the host first.", nameof(source));
        }

        CheckTarget(source, target);
        var values = source.To(DType.F32);
        try
        {
            var addend = Kind == WeightTransformKind.PlusOne ? 1f : -1f;
            for (long done = 0; done < values.ElementCount; done += ChunkElements)
            {
                foreach (ref var value in values.GetSpan<float>(done, (int)Math.Min(ChunkElements, values.ElementCount - done)))
                {
                    value += addend;
                }
            }

            if (target == DType.F32)
            {
                return values;
            }

            using (values)
            {
                return values.To(target);
            }
        }
        catch
        {
            values.Dispose();
            throw;
        }
    }

    private Tensor Decode(Tensor source, DType target)
    {
        CheckTarget(source, target);
        return source.To(target);
    }

    private void CheckTarget(Tensor source, DType target)
    {
        if (!Codecs.Targets.Contains(target))
        {
            throw new ArgumentException(
                $"The transform {this} needs the values of {source}, and values are not written as {target.Name}: "
                + "ask for a type such as F32, F16 or BF16.",
                nameof(target));
        }
    }
}
