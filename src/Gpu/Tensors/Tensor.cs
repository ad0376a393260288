using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A dtype, a shape and strides over a <see cref="DeviceMemory"/>. A view shares the memory and holds a reference of
/// its own: every tensor is disposed once, in any order, and the memory is freed with the last. The description is
/// immutable and safe for any thread; who writes the elements sees to it that nobody else does.
/// </summary>
/// <remarks>
/// Block types (ggml's) are first-class: their strides count blocks, they narrow on rows and on whole blocks of the last
/// dimension, and have no views inside blocks. F4 and F6 narrow where whole bytes begin and end.
/// </remarks>
public sealed partial class Tensor : IDisposable
{
    private readonly StridedView _view;
    private int _disposed;

    /// <summary>Makes a tensor over memory and adds a reference to it.</summary>
    /// <param name="memory">The memory; the caller keeps its own reference.</param>
    /// <param name="dtype">The element type.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="strides">One stride a dimension, in elements (blocks for block types), none negative; default for row-major.</param>
    /// <param name="byteOffset">Where the first element is, in bytes from the start of the memory.</param>
    /// <exception cref="ArgumentException">An element would lie outside the memory, or rows do not consist of whole blocks or bytes.</exception>
    public Tensor(DeviceMemory memory, DType dtype, Shape shape, ImmutableArray<long> strides = default, long byteOffset = 0)
        : this(TensorLayout.CreateView(memory, dtype, shape, strides, byteOffset))
    {
    }

    private Tensor(StridedView view)
    {
        view.Memory.AddReference();
        _view = view;
    }

    /// <summary>The memory that holds the elements; shared with views and tied tensors.</summary>
    public DeviceMemory Memory => _view.Memory;

    /// <summary>The device that the memory is on.</summary>
    public Device Device => _view.Memory.Device;

    /// <summary>The element type.</summary>
    public DType DType => _view.DType;

    /// <summary>The dimensions, outermost first.</summary>
    public Shape Shape => _view.Shape;

    /// <summary>One stride a dimension: in elements, or in blocks for block types.</summary>
    public ImmutableArray<long> Strides => _view.Strides;

    /// <summary>Where the first element is, in bytes from the start of the memory.</summary>
    public long ByteOffset => _view.ByteOffset;

    /// <summary>The number of elements.</summary>
    public long ElementCount => _view.Shape.ElementCount;

    /// <summary>The size of the elements in bytes, without what lies between them.</summary>
    public long ByteLength => DType.ByteCount(ElementCount);

    /// <summary>
    /// Whether the elements can only be read, as those of a mapped file: what would write them throws an
    /// <see cref="InvalidOperationException"/>. Every copy (<see cref="To(Formats.DType)"/>) can be written.
    /// </summary>
    public bool IsReadOnly => _view.Memory.IsReadOnly;

    /// <summary>Whether the elements lie side by side in row-major order.</summary>
    public bool IsContiguous => _view.IsContiguous;

    /// <summary>Whether the tensor was disposed.</summary>
    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>Allocates a contiguous tensor; the content is undefined.</summary>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="ArgumentException">The elements do not fill whole bytes or blocks.</exception>
    public static Tensor Empty(DType dtype, Shape shape, Device? device = null)
    {
        TensorLayout.CheckRows(dtype, shape);
        using var memory = (device ?? HostDevice.Shared).Allocate(dtype.ByteCount(shape.ElementCount));
        return new Tensor(memory, dtype, shape);
    }

    /// <summary>Allocates a tensor with strides: storage from its first element to the last one that they reach (PyTorch's <c>empty_strided</c>). The content is undefined.</summary>
    /// <param name="dtype">The element type.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="strides">One stride a dimension, in elements (blocks for block types), none negative; default for row-major.</param>
    /// <param name="device">The device; null for the host.</param>
    /// <inheritdoc cref="Empty"/>
    public static Tensor EmptyStrided(DType dtype, Shape shape, ImmutableArray<long> strides, Device? device = null)
    {
        if (strides.IsDefault)
        {
            return Empty(dtype, shape, device);
        }

        TensorLayout.CheckRows(dtype, shape);
        TensorLayout.CheckStrides(shape, strides);
        using var memory = (device ?? HostDevice.Shared).Allocate(ExtentOf(dtype, shape, strides));
        return new Tensor(memory, dtype, shape, strides);
    }

    /// <summary>How many bytes storage has that begins with the first element and ends with the last one that strides reach.</summary>
    /// <param name="dtype">The element type.</param>
    /// <param name="shape">The dimensions, outermost first; rows of block types are whole blocks.</param>
    /// <param name="strides">One stride a dimension, in elements; in blocks for block types.</param>
    /// <exception cref="OverflowException">They are more than 64 bits count.</exception>
    /// <exception cref="ArgumentException">Rows of F4 or F6 that lie apart do not begin and end on bytes.</exception>
    public static long ExtentOf(DType dtype, Shape shape, ImmutableArray<long> strides) =>
        TensorLayout.ExtentInBytes(new StridedView(null!, dtype, shape, strides, 0));

    /// <summary>Allocates a contiguous host tensor and copies values into it.</summary>
    /// <param name="dtype">The element type; its size is that of <typeparamref name="T"/>, or T is byte.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="values">The elements in row-major order.</param>
    /// <param name="device">A host device; null for the shared one.</param>
    /// <exception cref="ArgumentException">The number of values does not fit the shape, or their size the element's.</exception>
    public static Tensor FromValues<T>(DType dtype, Shape shape, ReadOnlySpan<T> values, HostDevice? device = null)
        where T : unmanaged
    {
        CheckElementType<T>(dtype);
        var bytes = MemoryMarshal.AsBytes(values);
        if (bytes.Length != dtype.ByteCount(shape.ElementCount))
        {
            throw new ArgumentException($"{dtype.Name} {shape} takes {dtype.ByteCount(shape.ElementCount)} bytes, and {bytes.Length} are given.", nameof(values));
        }

        var tensor = Empty(dtype, shape, device);
        bytes.CopyTo(((HostMemory)tensor.Memory).AsSpan(0, bytes.Length));
        return tensor;
    }

    /// <summary>The elements of a contiguous host tensor, valid until the memory is freed.</summary>
    /// <typeparam name="T">A type of the element's size, or byte.</typeparam>
    /// <exception cref="InvalidOperationException">
    /// The tensor is not on the host, not contiguous, longer than a span can be, or can only be read (<see cref="AsReadOnlySpan{T}"/>).
    /// </exception>
    /// <exception cref="ArgumentException">The size of <typeparamref name="T"/> is not that of an element.</exception>
    public Span<T> AsSpan<T>()
        where T : unmanaged =>
        GetSpan<T>(0, CountInSpan<T>(nameof(GetSpan)));

    /// <summary>The elements of a contiguous host tensor to be read, also those of a mapped file; valid until the memory is freed.</summary>
    /// <typeparam name="T">A type of the element's size, or byte.</typeparam>
    /// <exception cref="InvalidOperationException">The tensor is not on the host, not contiguous, or longer than a span can be.</exception>
    /// <exception cref="ArgumentException">The size of <typeparamref name="T"/> is not that of an element.</exception>
    public ReadOnlySpan<T> AsReadOnlySpan<T>()
        where T : unmanaged =>
        GetReadOnlySpan<T>(0, CountInSpan<T>(nameof(GetReadOnlySpan)));

    /// <summary>A part of the elements of a contiguous host tensor, valid until the memory is freed.</summary>
    /// <param name="start">The first element, counted in <typeparamref name="T"/>.</param>
    /// <param name="length">How many.</param>
    /// <inheritdoc cref="AsSpan{T}"/>
    /// <exception cref="ArgumentOutOfRangeException">The part is not within the tensor.</exception>
    public unsafe Span<T> GetSpan<T>(long start, int length)
        where T : unmanaged
    {
        var address = AddressOf<T>(start, length);
        Memory.ThrowIfReadOnly();
        return new Span<T>((void*)address, length);
    }

    /// <summary>A part of the elements of a contiguous host tensor to be read, valid until the memory is freed.</summary>
    /// <param name="start">The first element, counted in <typeparamref name="T"/>.</param>
    /// <param name="length">How many.</param>
    /// <inheritdoc cref="AsReadOnlySpan{T}"/>
    /// <exception cref="ArgumentOutOfRangeException">The part is not within the tensor.</exception>
    public unsafe ReadOnlySpan<T> GetReadOnlySpan<T>(long start, int length)
        where T : unmanaged =>
        new((void*)AddressOf<T>(start, length), length);

    /// <summary>Releases this tensor's reference to its memory. Safe to call again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Memory.Release();
        }
    }

    /// <summary>Dtype, shape and device.</summary>
    public override string ToString() => $"{DType.Name} {Shape} on {Device}";

    private int CountInSpan<T>(string inParts)
        where T : unmanaged
    {
        var count = ByteLength / Unsafe.SizeOf<T>();
        return count <= int.MaxValue
            ? (int)count
            : throw new InvalidOperationException($"{this} is longer than a span can be; take it in parts with {inParts}.");
    }

    private nint AddressOf<T>(long start, int length)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        CheckElementType<T>(DType);
        if (Memory is not HostMemory memory || !IsContiguous)
        {
            throw new InvalidOperationException(
                $"{this} {(Device.IsHost ? "is not contiguous: copy it into a contiguous tensor first" : $"is on {Device}: copy it to the host first")}.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, (ByteLength / Unsafe.SizeOf<T>()) - length);
        // By address, since a span of bytes would end at 2 GiB; that of a view need not be aligned, which the processors we
        // run on allow.
        return (nint)(memory.Address + ByteOffset + (start * Unsafe.SizeOf<T>()));
    }

    internal static void CheckElementType<T>(DType dtype)
        where T : unmanaged
    {
        if (Unsafe.SizeOf<T>() != 1 && (dtype.BlockLength != 1 || Unsafe.SizeOf<T>() != dtype.BlockSize))
        {
            throw new ArgumentException(
                dtype.BlockLength == 1
                    ? $"An element of {dtype.Name} takes {dtype.BlockSize} bytes, a {typeof(T).Name} {Unsafe.SizeOf<T>()}."
                    : $"{dtype.BlockLength} elements of {dtype.Name} share {dtype.BlockSize} bytes: only bytes can be seen, not a {typeof(T).Name}.");
        }
    }

    internal StridedView AsStridedView()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return _view;
    }
}
