using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// A device that is not the host, whose memory and work are a host's behind it: fails where it is told to, counts what it is
/// given, and locks pages if it is told to use them.
/// </summary>
internal sealed class ProbeDevice(string id) : Device
{
    private readonly HostDevice _behind = new();
    private int _locks;

    public override DeviceKind Kind => DeviceKind.Cuda;

    public override string Name => $"probe {Id}";

    public override string Id => id;

    public override long TotalMemory => Free * 2;

    public override long FreeMemory => Free;

    public override int PreferredSlotBytes => SlotBytes;

    public override bool UsesPageLockedMemory => LocksPages;

    public long Free { get; init; } = 1 << 30;

    public int SlotBytes { get; init; } = 4096;

    public bool LocksPages { get; init; }

    public bool RefusesLocks { get; init; }

    public bool RefusesAllocations { get; set; }

    public bool RefusesStreams { get; init; }

    public bool FailsToFree { get; init; }

    public bool FailsToUnlock { get; init; }

    /// <summary>Streams that are not disposed.</summary>
    public int LiveStreams { get; private set; }

    /// <summary>Copies between views that were asked of any stream.</summary>
    public int Copies { get; private set; }

    /// <summary>Calls of Synchronize of any stream.</summary>
    public int Synchronisations { get; private set; }

    /// <summary>Pools made here.</summary>
    public int Pools { get; private set; }

    /// <summary>Ranges that are locked now, with the first byte they had when they were locked.</summary>
    public List<(nint Address, long Bytes)> Locked { get; } = [];

    /// <summary>How often pages were locked.</summary>
    public int Locks => _locks;

    /// <summary>The conversions that it was told to prepare.</summary>
    public List<(DType Stored, DType Target)> Prepared { get; } = [];

    /// <summary>The types whose sums it was told to prepare.</summary>
    public List<DType> PreparedSummaries { get; } = [];

    /// <summary>The last fence's state, of all streams.</summary>
    public bool HasPassed { get; set; } = true;

    /// <summary>What waiting for a fence throws.</summary>
    public Exception? FenceFailure { get; set; }

    /// <summary>A tensor's elements here, in row-major order.</summary>
    public static byte[] Read(Tensor tensor)
    {
        using var over = new Tensor(((ProbeMemory)tensor.Memory).Behind, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset);
        using var copy = over.To(HostDevice.Shared);
        return copy.AsSpan<byte>().ToArray();
    }

    public override DeviceMemory Allocate(long bytes) => RefusesAllocations
        ? throw new DeviceMemoryException(Id, bytes, 0, "It was told to refuse.")
        : new ProbeMemory(this, _behind.Allocate(bytes));

    public override StagingPool CreateStagingPool(int slotBytes, int slotCount)
    {
        Pools++;
        return _behind.CreateStagingPool(slotBytes, slotCount);
    }

    public override DeviceStream CreateStream()
    {
        if (RefusesStreams)
        {
            throw new InvalidOperationException("It was told to refuse streams.");
        }

        LiveStreams++;
        return new ProbeStream(this, _behind.CreateStream());
    }

    public override void Prepare(IEnumerable<(DType Stored, DType Target)> conversions) => Prepared.AddRange(conversions);

    public override void PrepareSummaries(IEnumerable<DType> values) => PreparedSummaries.AddRange(values);

    protected internal override IDisposable? LockPages(nint address, long bytes)
    {
        if (RefusesLocks)
        {
            throw new DeviceMemoryException(Id, bytes, 0, "It was told to refuse locks.");
        }

        _locks++;
        Locked.Add((address, bytes));
        return new PageLock(this, address, bytes);
    }

    private sealed unsafe class PageLock(ProbeDevice device, nint address, long bytes) : IDisposable
    {
        public void Dispose()
        {
            // The pages are there still: a driver that unlocks looks at them. Reading freed ones would end the process.
            _ = Volatile.Read(ref *(byte*)address) + Volatile.Read(ref *((byte*)address + bytes - 1));
            if (!device.Locked.Remove((address, bytes)))
            {
                throw new InvalidOperationException("Pages were unlocked twice.");
            }

            if (device.FailsToUnlock)
            {
                throw new InvalidOperationException("It was told to fail to unlock.");
            }
        }
    }

    private sealed class ProbeMemory(ProbeDevice device, DeviceMemory behind) : DeviceMemory(device, behind.Length)
    {
        public DeviceMemory Behind => behind;

        protected override void Free()
        {
            behind.Dispose();
            if (device.FailsToFree)
            {
                throw new InvalidOperationException("It was told to fail to free.");
            }
        }
    }

    private sealed class ProbeStream(ProbeDevice device, DeviceStream behind) : DeviceStream
    {
        public override Device Device => device;

        public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target) =>
            behind.Place(staged, stored, Own(destination), destinationOffset, target);

        public override void PlacePart(
            ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target) =>
            behind.PlacePart(staged, stored, skip, count, Own(destination), destinationOffset, target);

        public override void Copy(in StridedView source, in StridedView destination)
        {
            device.Copies++;
            behind.Copy(source with { Memory = OwnOrHost(source.Memory) }, destination with { Memory = OwnOrHost(destination.Memory) });
        }

        public override void Fill(in StridedView destination, ReadOnlySpan<byte> element) =>
            behind.Fill(destination with { Memory = Own(destination.Memory) }, element);

        public override void FillUniform(
            DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high) =>
            behind.FillUniform(Own(destination), destinationOffset, dtype, firstElement, count, seed, low, high);

        public override void SwapBytes(DeviceMemory memory, long offset, long count, int size) => behind.SwapBytes(Own(memory), offset, count, size);

        public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks) =>
            behind.Summarise(Own(values), offset, dtype, count, chunks);

        public override void Dequantize(in QuantizedView source, in StridedView destination) =>
            behind.Dequantize(source.With(view => view with { Memory = Own(view.Memory) }), destination with { Memory = Own(destination.Memory) });

        public override Fence Record() => new ProbeFence(device);

        public override void Synchronize()
        {
            device.Synchronisations++;
            behind.Synchronize();
        }

        protected override void Dispose(bool disposing)
        {
            device.LiveStreams--;
            behind.Dispose();
        }

        private DeviceMemory OwnOrHost(DeviceMemory memory) => memory is HostMemory ? memory : Own(memory);

        private DeviceMemory Own(DeviceMemory memory) => memory is ProbeMemory own && ReferenceEquals(own.Device, device)
            ? own.Behind
            : throw new ArgumentException("Another device's memory.", nameof(memory));
    }

    private sealed class ProbeFence(ProbeDevice device) : Fence
    {
        public override bool HasPassed => device.HasPassed;

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            device.HasPassed = device.FenceFailure is null ? true : throw device.FenceFailure;
            return ValueTask.CompletedTask;
        }
    }
}
