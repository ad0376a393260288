using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Writing all elements in place, on the device and whatever the strides.</content>
public sealed partial class Tensor
{
    // Elements of the temporary of a tensor that is not contiguous: enough that a launch on a device is worth it.
    private const long PartElements = 1L << 20;

    /// <summary>
    /// Sets every element to a value, converted as PyTorch's <c>fill_</c> does: rounded to nearest even for floats (through F32
    /// where they are smaller), the fraction dropped for integers, anything but 0 true for BOOL, the real part of a complex type.
    /// </summary>
    /// <param name="value">
    /// The value. F4, F6 and F8_E8M0 take what they hold exactly, block types 0 only (a block of zero bytes).
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The type does not hold the value; an unsigned type refuses negative ones, which PyTorch wraps round.
    /// </exception>
    /// <exception cref="InvalidOperationException">The tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public void Fill(double value) => Fill(ElementValue.Encode(DType, value));

    /// <summary>Gives every element the same bytes.</summary>
    /// <param name="element">The bytes of one element, of a block, or of the smallest group that fills whole bytes (F4, F6).</param>
    /// <exception cref="ArgumentException">These are not as many bytes as an element or group has.</exception>
    /// <exception cref="InvalidOperationException">The tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public void Fill(ReadOnlySpan<byte> element)
    {
        var view = AsStridedView();
        Memory.ThrowIfReadOnly();
        view.CheckElement(element);
        using var stream = Device.CreateStream();
        stream.Fill(view, element);
        stream.Synchronize();
    }

    /// <summary>
    /// Fills the tensor with the pseudo-random values of <see cref="RandomFill"/>, the same on every device: the value of an
    /// element depends on the seed and its row-major index only.
    /// </summary>
    /// <param name="seed">The tensor's seed.</param>
    /// <param name="low">The least value.</param>
    /// <param name="high">The bound above; rounding to few bits can give the bound itself.</param>
    /// <exception cref="ArgumentException">The dtype is not one of <see cref="Codecs.Targets"/>, or elements share places.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The bounds are not finite and in order.</exception>
    /// <exception cref="InvalidOperationException">The tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The tensor is not contiguous, and the device has no memory for a part of it.</exception>
    public void FillUniform(ulong seed, float low, float high)
    {
        RandomFill.Check(DType, low, high);
        WriteInParts(false, (stream, memory, offset, first, count) => stream.FillUniform(memory, offset, DType, first, count, seed, low, high));
    }

    /// <summary>Reverses the bytes of every number: of each component where it is complex; a number of one byte has nothing to reverse.</summary>
    /// <exception cref="ArgumentException">The elements are blocks, which have no byte order of their own, or share places.</exception>
    /// <exception cref="InvalidOperationException">The tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The tensor is not contiguous, and the device has no memory for a part of it.</exception>
    public void SwapBytes()
    {
        if (DType.IsBlock)
        {
            throw new ArgumentException($"{this} consists of blocks, whose fields have different sizes: their byte order cannot be swapped.");
        }

        var words = DType.Kind == DTypeKind.Complex ? 2 : 1;
        var size = DType.BlockSize / words;
        if (size == 1 || DType.IsSubByte)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            Memory.ThrowIfReadOnly();
            return;
        }

        WriteInParts(true, (stream, memory, offset, _, count) => stream.SwapBytes(memory, offset, count * words, size));
    }

    private delegate void PartWriter(DeviceStream stream, DeviceMemory memory, long offset, long first, long count);

    // A contiguous tensor at once; another one through a contiguous temporary.
    private void WriteInParts(bool readsBefore, PartWriter write)
    {
        var view = AsStridedView();
        Memory.ThrowIfReadOnly();
        TensorLayout.CheckNoPlaceTwice(view);
        if (ElementCount == 0)
        {
            return;
        }

        using var stream = Device.CreateStream();
        if (IsContiguous)
        {
            write(stream, Memory, ByteOffset, 0, ElementCount);
            stream.Synchronize();
            return;
        }

        using var temporary = Device.Allocate(DType.ByteCount(Math.Min(PartElements, ElementCount)));
        foreach (var part in ShapePart.Cut(Shape, 1, PartElements))
        {
            var place = part.Of(view);
            var packed = new StridedView(temporary, DType, part.Shape, TensorLayout.RowMajorStrides(DType, part.Shape), 0);
            if (readsBefore)
            {
                stream.Copy(place, packed);
            }

            write(stream, temporary, 0, part.FirstElement, part.Shape.ElementCount);
            stream.Copy(packed, place);
        }

        stream.Synchronize();
    }
}
