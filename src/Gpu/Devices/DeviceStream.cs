using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Work of one lane on a device, done in the order it was given. The host does it at once; a GPU does it later, and a
/// <see cref="Fence"/> tells when. One thread at a time may use a stream. What would write memory that can only be read
/// (<see cref="DeviceMemory.IsReadOnly"/>) throws an <see cref="InvalidOperationException"/>.
/// </summary>
[SuppressMessage("Naming", "CA1711:Identifiers should not have incorrect suffix", Justification = "A stream of work, as CUDA and ILGPU call it.")]
public abstract class DeviceStream : IDisposable
{
    /// <summary>The device.</summary>
    public abstract Device Device { get; }

    /// <summary>
    /// Brings stored elements from a staging slot to their place: copied where the types are the same, else decoded on
    /// the device.
    /// </summary>
    /// <param name="staged">Whole elements or blocks, in a slot of this device's staging pool, or of that of a group it is in; they must stay there until a fence recorded later has passed.</param>
    /// <param name="stored">The type of the staged elements.</param>
    /// <param name="destination">Memory of this device.</param>
    /// <param name="destinationOffset">Where the elements go, in bytes from the start of the memory.</param>
    /// <param name="target">The type they get.</param>
    /// <exception cref="ArgumentException">The range is not within the memory, or the types are not converted so.</exception>
    public abstract void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target);

    /// <summary>Decodes some of the elements of staged groups: a part that begins or ends inside a block, or inside a byte of F4.</summary>
    /// <inheritdoc cref="Place"/>
    /// <param name="staged">Whole blocks or bytes, as for <see cref="Place"/>.</param>
    /// <param name="stored">The type of the staged elements, one value each.</param>
    /// <param name="skip">How many elements come before the wanted ones.</param>
    /// <param name="count">How many are wanted.</param>
    /// <param name="destination">Memory of this device.</param>
    /// <param name="destinationOffset">Where the first wanted element goes, in bytes from the start of the memory.</param>
    /// <param name="target">The type they get, another one than they have.</param>
    public abstract void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target);

    /// <summary>Copies elements between two strided views of this device, converting between floating types where they differ.</summary>
    /// <exception cref="ArgumentException">The shapes differ, or there is no conversion.</exception>
    public abstract void Copy(in StridedView source, in StridedView destination);

    /// <summary>Gives every element of a strided view the same bytes.</summary>
    /// <param name="destination">A view of this device; elements may share places.</param>
    /// <param name="element">
    /// The bytes of one element, or of the smallest group that fills whole bytes (a block, three bytes of F6); they are read before
    /// this returns.
    /// </param>
    /// <exception cref="ArgumentException">These are not as many bytes as an element or group has.</exception>
    public abstract void Fill(in StridedView destination, ReadOnlySpan<byte> element);

    /// <summary>
    /// Fills contiguous elements with the pseudo-random values of <see cref="RandomFill"/>: they depend on the seed and the
    /// element's index only, and are the same on every device.
    /// </summary>
    /// <param name="destination">Memory of this device.</param>
    /// <param name="destinationOffset">Where the first element is, in bytes from the start of the memory.</param>
    /// <param name="dtype">One of <see cref="Codecs.Targets"/>.</param>
    /// <param name="firstElement">The index of the first element in its tensor.</param>
    /// <param name="count">The number of elements.</param>
    /// <param name="seed">The tensor's seed.</param>
    /// <param name="low">The least value.</param>
    /// <param name="high">The bound above; finite, as is its distance from <paramref name="low"/>.</param>
    /// <exception cref="ArgumentException">The range is not within the memory, or the dtype is not one of these.</exception>
    public abstract void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high);

    /// <summary>Reverses the bytes of each word in place.</summary>
    /// <param name="memory">Memory of this device.</param>
    /// <param name="offset">Where the first word is, in bytes from the start of the memory; of any alignment.</param>
    /// <param name="count">The number of words.</param>
    /// <param name="size">The bytes of a word: 2, 4 or 8. A complex number is two words.</param>
    /// <exception cref="ArgumentException">The range is not within the memory, or there are no words of that size.</exception>
    public abstract void SwapBytes(DeviceMemory memory, long offset, long count, int size);

    /// <summary>Sums up values chunk by chunk, with the same bits on every device, and waits for the result.</summary>
    /// <param name="values">Memory of this device; it is not changed.</param>
    /// <param name="offset">Where the first value lies, in bytes from the start of the memory: a multiple of a value's size.</param>
    /// <param name="dtype">F32 or F64.</param>
    /// <param name="count">How many values.</param>
    /// <param name="chunks">Receives the moments of each <see cref="Moments.ChunkLength"/> values, and of what is left over.</param>
    /// <exception cref="ArgumentException">
    /// The range is not within the memory or not aligned, the type is another one, or there is not one result a chunk.
    /// </exception>
    /// <exception cref="NotSupportedException">The device has no storage.</exception>
    public abstract void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks);

    /// <summary>
    /// Writes the values that a stored matrix with its scales and zero points stands for. Computed in F32, then rounded once to nearest even, with the same bits on every device; nothing
    /// of the matrix's size is allocated.
    /// </summary>
    /// <param name="source">Views of this device.</param>
    /// <param name="destination">A contiguous matrix of this device, which none of the views overlaps.</param>
    /// <exception cref="ArgumentException">Dtypes, shapes or strides do not fit the scheme, or a view is elsewhere.</exception>
    public abstract void Dequantize(in QuantizedView source, in StridedView destination);

    /// <summary>Marks this point of the stream.</summary>
    public abstract Fence Record();

    /// <summary>Waits until all work given so far is done; blocks.</summary>
    public abstract void Synchronize();

    /// <summary>Ends the stream.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the stream.</summary>
    protected abstract void Dispose(bool disposing);

    private protected static void CheckWordSize(int size)
    {
        if (size is not (2 or 4 or 8))
        {
            throw new ArgumentOutOfRangeException(nameof(size), size, "Words have 2, 4 or 8 bytes.");
        }
    }

    /// <summary>Checks what is asked of <see cref="Summarise"/> of memory that is this device's.</summary>
    /// <inheritdoc cref="Summarise" path="/param"/>
    /// <inheritdoc cref="Summarise" path="/exception"/>
    protected static void CheckSummarise(DeviceMemory values, long offset, DType dtype, long count, ReadOnlySpan<Moments> chunks)
    {
        ArgumentNullException.ThrowIfNull(values);
        ObjectDisposedException.ThrowIf(values.IsFreed, values);
        if (dtype is not (DType.F32 or DType.F64))
        {
            throw new ArgumentException($"Values are summed up as F32 or F64, not as {dtype.Name}.", nameof(dtype));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (offset > values.Length || count > (values.Length - offset) / dtype.BlockSize)
        {
            throw new ArgumentOutOfRangeException(
                nameof(count), count, $"{count} values of {dtype.Name} at byte {offset} are not within {values.Length} bytes.");
        }

        if (offset % dtype.BlockSize != 0)
        {
            throw new ArgumentException($"Values of {dtype.Name} lie at multiples of {dtype.BlockSize} bytes, not at {offset}.", nameof(offset));
        }

        if (chunks.Length != Moments.CountChunks(count))
        {
            throw new ArgumentException($"{count} values have {Moments.CountChunks(count)} chunks, not {chunks.Length}.", nameof(chunks));
        }
    }
}
