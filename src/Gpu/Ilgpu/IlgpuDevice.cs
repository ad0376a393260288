using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A GPU, or another device that ILGPU drives. <see cref="Wrap"/> makes one of an application's own accelerator;
/// <see cref="DeviceCatalog.Open(string)"/> gives those of this machine. Safe for any thread.
/// </summary>
/// <remarks>
/// What is loaded onto a wrapped accelerator lies in its memory and is seen by the application's own kernels
/// (<see cref="IlgpuTensors.AsArrayView"/>). Disposed are, in this order: what still loads onto the device; its tensors and the device,
/// either of them first; then the application's stream, accelerator and context. Disposing the device frees what it keeps for itself,
/// never the accelerator, its context or a stream that was given.
/// </remarks>
public sealed partial class IlgpuDevice : Device, IDisposable
{
    // What the fastest loaders upload in: below it the start of a copy shows, above it only memory is spent.
    private const int UploadSlotBytes = 16 << 20;

    // One an accelerator: wrapped twice, it still has each kernel once.
    private static readonly ConditionalWeakTable<Accelerator, Lock> LaunchLocks = [];

    private readonly AcceleratorStream? _stream;
    private readonly Lock _kernelsLock = new();
    private readonly OrderedDictionary<(DType Stored, DType Target, ReaderKind Reader), DecodeKernel> _kernels = [];
    private readonly Dictionary<Type, MemoryBuffer> _tables = [];
    private int _disposed;

    internal IlgpuDevice(Accelerator accelerator, AcceleratorStream? stream, string id)
    {
        Accelerator = accelerator;
        MemoryKernels = new MemoryKernels(accelerator);
        _stream = stream;
        Id = id;
        Kind = accelerator.AcceleratorType switch
        {
            AcceleratorType.Cuda => DeviceKind.Cuda,
            AcceleratorType.OpenCL => DeviceKind.OpenCL,
            _ => DeviceKind.Simulator,
        };
        IlgpuLibraries.Resolve();
    }

    /// <summary>The accelerator.</summary>
    public Accelerator Accelerator { get; }

    /// <inheritdoc/>
    public override DeviceKind Kind { get; }

    /// <inheritdoc/>
    public override string Name => Accelerator.Name;

    /// <inheritdoc/>
    public override string Id { get; }

    /// <inheritdoc/>
    public override long TotalMemory => Kind == DeviceKind.Simulator ? HostDevice.Shared.TotalMemory : Accelerator.MemorySize;

    /// <inheritdoc/>
    /// <remarks>OpenCL does not say what others have taken: all memory but what was allocated through this device.</remarks>
    /// <exception cref="DeviceFailureException">CUDA's driver failed.</exception>
    public override long FreeMemory => Accelerator switch
    {
        CudaAccelerator cuda => AskFreeMemory(cuda),
        CLAccelerator openCl => Math.Max(0, openCl.MemorySize - LiveBytes),
        _ => HostDevice.Shared.FreeMemory,
    };

    /// <inheritdoc/>
    public override int PreferredSlotBytes => UploadSlotBytes;

    /// <summary>
    /// The elements that a stream gathers, converts or brings over at a time where one kernel does not do it: a multiple of every block's
    /// length, enough that launches do not show, and 64 MiB of scratch at most (F64). Smaller for tests.
    /// </summary>
    internal long PartElements { get; init; } = 1L << 22;

    /// <summary>What one launch does at most.</summary>
    internal LaunchLimits Limits { get; init; } = new();

    /// <summary>Whether it, or its accelerator, was disposed.</summary>
    internal bool IsDisposed => Volatile.Read(ref _disposed) != 0 || Accelerator.IsDisposed;

    /// <summary>The kernels that decode nothing.</summary>
    internal MemoryKernels MemoryKernels { get; }

    /// <summary>
    /// What launches take one after the other on OpenCL, whose kernels keep their arguments until they are started; null elsewhere.
    /// </summary>
    internal Lock? LaunchLock { get; init; }

    /// <summary>
    /// Lets ILGPU find drivers of which only <c>libcuda.so.1</c> or <c>libOpenCL.so.1</c> is installed, as in containers: by itself it looks
    /// for the names without a number, which development packages bring. To be called before the application's first context is made; safe
    /// to call again, and where an application has a resolver of its own for ILGPU's assembly, that one stays.
    /// </summary>
    /// <remarks>Opens no device and makes no context. <see cref="DeviceCatalog"/> does it by itself.</remarks>
    public static void FindDrivers() => IlgpuLibraries.Resolve();

    /// <summary>Makes a device of an accelerator that an application has made.</summary>
    /// <remarks>
    /// Once a load has returned (<c>LoadAsync</c>), or a stream of tensors has handed one over, its bytes are there: their fences were
    /// waited for, and a kernel on any stream of the accelerator sees them without any synchronisation. With a stream of the
    /// application's a load also comes behind what that stream had been given before.
    /// </remarks>
    /// <param name="accelerator">The accelerator; stays the application's, and is disposed after every tensor on it.</param>
    /// <param name="stream">A stream of it that all work is given to; null to load on several streams of our own.</param>
    /// <returns>A device that the caller disposes.</returns>
    /// <exception cref="ArgumentException">
    /// The accelerator's context is not one in which our kernels are right and fast, or the stream is of another accelerator.
    /// </exception>
    public static IlgpuDevice Wrap(Accelerator accelerator, AcceleratorStream? stream = null)
    {
        ArgumentNullException.ThrowIfNull(accelerator);
        var properties = accelerator.Context.Properties;
        if (properties.MathMode != MathMode.Default)
        {
            // Fast math flushes subnormals to zero: other values than the checkpoint's.
            throw new ArgumentException(
                $"The context uses {nameof(MathMode)}.{properties.MathMode}, with which weights would not be what the file holds. "
                + $"Leave {nameof(Context.Builder.Math)} out of Context.Create(builder => …).",
                nameof(accelerator));
        }

        if (properties.OptimizationLevel < OptimizationLevel.O2)
        {
            throw new ArgumentException(
                $"The context compiles at {nameof(OptimizationLevel)}.{properties.OptimizationLevel}, which does not tell a GPU's memories apart. "
                + "Add .Optimize(OptimizationLevel.O2) in Context.Create(builder => …).",
                nameof(accelerator));
        }

        if (stream is not null && stream.Accelerator != accelerator)
        {
            throw new ArgumentException("The stream is of another accelerator.", nameof(stream));
        }

        return Create(accelerator, stream, IdOf(accelerator));
    }

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ThrowIfDisposed();
        return new IlgpuMemory(this, AllocateBuffer(bytes), bytes);
    }

    /// <inheritdoc/>
    public override DeviceStream CreateStream()
    {
        ThrowIfDisposed();
        try
        {
            return new IlgpuStream(this, _stream ?? Accelerator.CreateStream(), isOwned: _stream is null);
        }
        catch (AcceleratorException exception)
        {
            throw IlgpuErrors.Explain(this, exception, "a stream was made");
        }
    }

    /// <inheritdoc/>
    public override void Prepare(IEnumerable<(DType Stored, DType Target)> conversions)
    {
        ArgumentNullException.ThrowIfNull(conversions);
        ThrowIfDisposed();
        // In an order of its own: a driver caches what it compiles by the text, in which ILGPU numbers what it has seen before.
        foreach (var (stored, target) in conversions.Distinct().Order())
        {
            var codec = Codecs.Of(stored);
            if (codec.ValueType != target)
            {
                _ = KernelOf(codec, target, 0);
            }
        }
    }

    /// <inheritdoc/>
    protected internal override bool IsSameMemory(Device other) => other is IlgpuDevice device && device.Accelerator == Accelerator;

    /// <inheritdoc/>
    /// <remarks>Part by part through host memory of bounded size.</remarks>
    protected internal override bool CopiesFrom(Device other) => other is IlgpuDevice;

    /// <summary>
    /// Frees staging and tables; streams that were made before are done. Tensors keep their memory, and <see cref="IlgpuTensors.AsArrayView"/> of
    /// them works on, as does disposing them; what needs a stream or a kernel of this device, as copying one to the host does, is refused.
    /// The accelerator stays its owner's. Safe to call again.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            lock (_kernelsLock)
            {
                foreach (var table in _tables.Values)
                {
                    IlgpuErrors.Release(table.Dispose);
                }

                _tables.Clear();
                _kernels.Clear();
                _summaryKernels.Clear();
                _schemeKernels.Clear();
            }

            _pageLocked.Dispose();
        }
    }

    internal static IlgpuDevice Create(Accelerator accelerator, AcceleratorStream? stream, string id) =>
        new(accelerator, stream, id) { LaunchLock = accelerator is CLAccelerator ? LaunchLocks.GetValue(accelerator, _ => new Lock()) : null };

    /// <summary>The conversions whose kernels are loaded, in the order in which they were.</summary>
    internal IReadOnlyList<(DType Stored, DType Target)> LoadedConversions
    {
        get
        {
            lock (_kernelsLock)
            {
                return [.. _kernels.Keys.Select(key => (key.Stored, key.Target))];
            }
        }
    }

    /// <summary>The kernel that decodes stored bytes which begin at an offset of their buffer; compiled on first use.</summary>
    internal DecodeKernel KernelOf(Codec codec, DType target, long start)
    {
        var reader = DecodeKernel.ReaderFor(codec, start);
        lock (_kernelsLock)
        {
            // Nobody would free the tables.
            ThrowIfDisposed();
            if (!_kernels.TryGetValue((codec.DType, target, reader), out var kernel))
            {
                kernel = DecodeKernel.Of(codec, target, reader);
                try
                {
                    kernel.Load(this);
                }
                catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsOfCompiler(exception))
                {
                    throw new DeviceFailureException(
                        Id, $"its driver cannot compile the conversion of {codec.DType.Name} to {target.Name}: {IlgpuErrors.Describe(exception)}", exception);
                }

                _kernels.Add((codec.DType, target, reader), kernel);
            }

            return kernel;
        }
    }

    /// <summary>A body's table in this device's memory, uploaded once. Called with the kernels' lock held.</summary>
    internal ArrayView<byte> TableOf(Type decoder, ReadOnlySpan<byte> table)
    {
        if (!_tables.TryGetValue(decoder, out var buffer))
        {
            buffer = AllocateBuffer(table.Length);
            try
            {
                if (!table.IsEmpty)
                {
                    using var own = _stream is null ? Accelerator.CreateStream() : null;
                    var stream = _stream ?? own!;
                    HostCopies.Upload(stream, ref MemoryMarshal.GetReference(table), buffer.AsRawArrayView(0, table.Length));
                    stream.Synchronize();
                }

                _tables.Add(decoder, buffer);
            }
            catch (Exception exception)
            {
                IlgpuErrors.Release(buffer.Dispose);
                if (IlgpuErrors.IsOfDriver(exception))
                {
                    // Not of the compiler, which asks for the table.
                    throw IlgpuErrors.Explain(this, exception, "a table of a block type was uploaded");
                }

                throw;
            }
        }

        return buffer.AsRawArrayView();
    }

    private long AskFreeMemory(CudaAccelerator cuda)
    {
        try
        {
            return cuda.GetFreeMemory();
        }
        catch (AcceleratorException exception)
        {
            throw new DeviceFailureException(Id, $"its driver does not say what memory is free: {IlgpuErrors.Describe(exception)}", exception);
        }
    }

    private MemoryBuffer AllocateBuffer(long bytes)
    {
        if (bytes > long.MaxValue - IlgpuMemory.Granularity)
        {
            throw new DeviceMemoryException(Id, bytes, IlgpuErrors.FreeMemoryOf(this) ?? 0, "No device has that many.");
        }

        // Never empty, so that every allocation has an address and a view.
        var rounded = (Math.Max(bytes, 1) + IlgpuMemory.Granularity - 1) / IlgpuMemory.Granularity * IlgpuMemory.Granularity;
        try
        {
            return Accelerator.AllocateRaw(rounded, 1);
        }
        catch (Exception exception) when (IlgpuErrors.IsRefusedAllocation(exception))
        {
            throw new DeviceMemoryException(Id, bytes, IlgpuErrors.FreeMemoryOf(this) ?? 0, $"Its driver refused the allocation: {IlgpuErrors.Describe(exception)}.{LargestBuffer()}", exception);
        }
        catch (AcceleratorException exception)
        {
            throw IlgpuErrors.Explain(this, exception, $"{bytes} bytes were allocated");
        }
    }

    // Asked while something else has failed: no answer is left out.
    private string LargestBuffer() =>
        Accelerator is CLAccelerator { Device: CLDevice device }
        && device.GetDeviceInfo(CLDeviceInfoType.CL_DEVICE_MAX_MEM_ALLOC_SIZE, out long largest) == CLError.CL_SUCCESS
            ? $" One buffer of it can have {largest} bytes at most."
            : "";

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(IsDisposed, this);

    private static string IdOf(Accelerator accelerator)
    {
        var same = accelerator.Context.Devices.Where(device => device.AcceleratorType == accelerator.AcceleratorType).ToList();
        return $"{NameOf(accelerator.AcceleratorType)}:{Math.Max(0, same.IndexOf(accelerator.Device))}";
    }

    private static string NameOf(AcceleratorType type) => type switch
    {
        AcceleratorType.Cuda => "cuda",
        AcceleratorType.OpenCL => "opencl",
        _ => "simulator",
    };
}
