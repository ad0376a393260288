using System.Buffers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Work on the host: done on the calling thread, at once.</summary>
internal sealed unsafe class HostStream(HostDevice device) : DeviceStream
{
    // Outputs beyond a core's share of the caches are written past them: nobody reads them soon.
    internal const long BypassCacheBytes = 4L << 20;

    // Work is cut where a span, which counts in 32 bits, takes bytes.
    private const long SpanElements = 1L << 24;

    /// <inheritdoc/>
    public override Device Device => device;

    /// <inheritdoc/>
    public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target)
    {
        var memory = (HostMemory)destination;
        if (stored == target)
        {
            staged.CopyTo(memory.AsSpan(destinationOffset, staged.Length));
            return;
        }

        var codec = FindCodec(stored, target);
        var elements = (long)staged.Length / stored.BlockSize * stored.BlockLength * codec.ValuesPerElement;
        var output = memory.AsSpan(destinationOffset, checked((int)target.ByteCount(elements)));
        codec.Decode(staged, output, target, bypassCache: memory.Length >= BypassCacheBytes);
    }

    /// <inheritdoc/>
    public override void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target)
    {
        var codec = FindCodec(stored, target);
        var decoded = checked((int)target.ByteCount(staged.Length / stored.BlockSize * (long)stored.BlockLength));
        var wanted = checked((int)target.ByteCount(skip))..checked((int)target.ByteCount(skip + count));
        var buffer = ArrayPool<byte>.Shared.Rent(decoded);
        try
        {
            codec.Decode(staged, buffer.AsSpan(0, decoded), target);
            buffer.AsSpan(wanted).CopyTo(((HostMemory)destination).AsSpan(destinationOffset, wanted.End.Value - wanted.Start.Value));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <inheritdoc/>
    public override void Copy(in StridedView source, in StridedView destination)
    {
        destination.Memory.ThrowIfReadOnly();
        if (source.Shape != destination.Shape && (source.Shape.ElementCount != 1 || destination.Shape.ElementCount != 1))
        {
            throw new ArgumentException($"A tensor of shape {source.Shape} cannot be copied into one of shape {destination.Shape}.");
        }

        if (source.DType == destination.DType)
        {
            CopyUnits(source, destination);
        }
        else
        {
            Convert(source, destination, StridedChecks.CheckConversion(source, destination));
        }
    }

    /// <inheritdoc/>
    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
        destination.Memory.ThrowIfReadOnly();
        StridedFill.Fill(AddressOf(destination), destination, element);
    }

    /// <inheritdoc/>
    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
        RandomFill.Check(dtype, low, high);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var memory = (HostMemory)destination;
        for (long done = 0; done < count; done += SpanElements)
        {
            var part = Math.Min(SpanElements, count - done);
            var bytes = memory.AsSpan(checked(destinationOffset + dtype.ByteCount(done)), (int)dtype.ByteCount(part));
            RandomFill.Uniform(bytes, dtype, firstElement + done, seed, low, high);
        }
    }

    /// <inheritdoc/>
    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
        CheckWordSize(size);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        for (long done = 0; done < count; done += SpanElements)
        {
            var part = (int)Math.Min(SpanElements, count - done) * size;
            ByteOrder.Swap(((HostMemory)memory).AsSpan(checked(offset + (done * size)), part), size);
        }
    }

    /// <inheritdoc/>
    public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values is not HostMemory memory)
        {
            throw new ArgumentException($"The values are on {values.Device}, not on {device}.", nameof(values));
        }

        CheckSummarise(values, offset, dtype, count, chunks);
        // A chunk at a time: the memory may be longer than a span.
        for (var chunk = 0; chunk < chunks.Length; chunk++)
        {
            var first = (long)chunk * Moments.ChunkLength;
            var length = (int)Math.Min(Moments.ChunkLength, count - first) * dtype.BlockSize;
            ChunkMoments.OfChunks(memory.AsReadOnlySpan(offset + (first * dtype.BlockSize), length), dtype, chunks.Slice(chunk, 1));
        }
    }

    /// <inheritdoc/>
    /// <remarks>A large matrix on several threads: it comes alone, behind the load, and nothing else has the processor.</remarks>
    public override void Dequantize(in QuantizedView source, in StridedView destination)
    {
        var views = source.Checked(destination);
        destination.Memory.ThrowIfReadOnly();
        foreach (var view in views.Views.Append(destination))
        {
            ObjectDisposedException.ThrowIf(view.Memory.IsFreed, view.Memory);
            if (view.Memory is not HostMemory)
            {
                throw new ArgumentException($"{view.DType.Name} {view.Shape} is on {view.Memory.Device}, not on {device}.", nameof(source));
            }
        }

        HostDequantization.Run(views, destination);
    }

    /// <inheritdoc/>
    public override Fence Record() => Fence.Passed;

    /// <inheritdoc/>
    public override void Synchronize()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
    }

    private static Codec FindCodec(DType stored, DType target) =>
        Codecs.Of(stored) is var codec && codec.CanDecodeTo(target)
            ? codec
            : throw new ArgumentException($"There is no conversion from {stored.Name} to {target.Name}.");

    private static byte* AddressOf(in StridedView view) => (byte*)((HostMemory)view.Memory).Address + view.ByteOffset;

    private static void CopyUnits(in StridedView source, in StridedView destination)
    {
        var layout = StridedLayout.Create(source, destination);
        var (from, to) = ((nint)AddressOf(source), (nint)AddressOf(destination));
        var units = layout.RunUnits;
        var unit = layout.SourceUnitBytes;
        if (layout.SourceStride == unit && layout.DestinationStride == unit)
        {
            var bytes = units * unit;
            layout.ForEachRun((s, d) => Buffer.MemoryCopy((byte*)from + s, (byte*)to + d, bytes, bytes));
            return;
        }

        layout.ForEachRun((s, d) => CopyStrided((byte*)from + s, layout.SourceStride, (byte*)to + d, layout.DestinationStride, units, unit));
    }

    internal static void CopyStrided(byte* source, long sourceStride, byte* destination, long destinationStride, long units, long unitBytes)
    {
        for (long i = 0; i < units; i++)
        {
            switch (unitBytes)
            {
                case 1:
                    *destination = *source;
                    break;
                case 2:
                    *(ushort*)destination = *(ushort*)source;
                    break;
                case 4:
                    *(uint*)destination = *(uint*)source;
                    break;
                case 8:
                    *(ulong*)destination = *(ulong*)source;
                    break;
                default:
                    Buffer.MemoryCopy(source, destination, unitBytes, unitBytes);
                    break;
            }

            source += sourceStride;
            destination += destinationStride;
        }
    }

    private static void Convert(in StridedView source, in StridedView destination, Codec codec)
    {
        if (source.IsContiguous && destination.IsContiguous)
        {
            StridedConversion.ConvertContiguous(
                AddressOf(source), AddressOf(destination), source.Shape.ElementCount, source.DType, destination.DType, codec);
            return;
        }

        StridedConversion.Convert(AddressOf(source), AddressOf(destination), source, destination, codec);
    }
}
