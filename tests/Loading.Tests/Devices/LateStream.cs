using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Work that is remembered by address and done later, in order.</summary>
internal sealed class LateStream(LateDevice device) : DeviceStream
{
    private readonly Lock _lock = new();
    private readonly Queue<Action> _work = new();
    private long _given;
    private long _done;
    private bool _ended;

    public override Device Device => device;

    public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target) =>
        Give(staged, destination, destinationOffset, (bytes, room) =>
        {
            if (stored == target)
            {
                bytes.CopyTo(room);
            }
            else
            {
                var values = Decode(bytes, stored, target);
                values.CopyTo(room);
            }
        });

    public override void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target) =>
        Give(staged, destination, destinationOffset, (bytes, room) =>
            Decode(bytes, stored, target).AsSpan((int)target.ByteCount(skip), (int)target.ByteCount(count)).CopyTo(room));

    private static byte[] Decode(ReadOnlySpan<byte> bytes, DType stored, DType target)
    {
        var codec = Codecs.Of(stored);
        var values = new byte[target.ByteCount(bytes.Length / stored.BlockSize * stored.BlockLength * codec.ValuesPerElement)];
        codec.DecodeScalar(bytes, values, target);
        return values;
    }

    private delegate void Placing(ReadOnlySpan<byte> bytes, Span<byte> room);

    private unsafe void Give(ReadOnlySpan<byte> staged, DeviceMemory destination, long destinationOffset, Placing place)
    {
        // Slots are pinned: the address is what a driver keeps.
        var address = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(staged));
        var length = staged.Length;
        var memory = (LateMemory)destination;
        Give(() =>
        {
            if (memory.IsFreed)
            {
                device.Note("work was done on freed memory");
                return;
            }

            place(new ReadOnlySpan<byte>((byte*)address, length), memory.Bytes.AsSpan((int)destinationOffset));
        });
    }

    public override void Copy(in StridedView source, in StridedView destination)
    {
        var (from, to) = (source, destination);
        Give(() =>
        {
            if (from.DType != to.DType)
            {
                using var stored = HostDevice.Shared.Allocate(from.DType.ByteCount(from.Shape.ElementCount));
                var side = new StridedView(stored, from.DType, from.Shape, from.Shape.RowMajorStrides(), 0);
                if (from.IsContiguous)
                {
                    Bytes(from, 0, (int)stored.Length).CopyTo(Bytes(side, 0, (int)stored.Length));
                }
                else
                {
                    CopyOneByOne(from, side);
                }

                // What is converted goes side by side.
                var values = Decode(Bytes(side, 0, (int)stored.Length), from.DType, to.DType);
                values.CopyTo(Bytes(to, 0, values.Length));
            }
            else if (from.IsContiguous && to.IsContiguous)
            {
                var length = (int)from.DType.ByteCount(from.Shape.ElementCount);
                Bytes(from, 0, length).CopyTo(Bytes(to, 0, length));
            }
            else
            {
                CopyOneByOne(from, to);
            }
        });
    }

    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
        var (to, bytes) = (destination, element.ToArray());
        Give(() =>
        {
            foreach (var offset in Offsets(to))
            {
                bytes.CopyTo(Bytes(to, offset, bytes.Length));
            }
        });
    }

    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
        var memory = (LateMemory)destination;
        Give(() => RandomFill.Uniform(
            memory.Bytes.AsSpan((int)destinationOffset, (int)dtype.ByteCount(count)), dtype, firstElement, seed, low, high));
    }

    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
        var late = (LateMemory)memory;
        Give(() =>
        {
            for (var word = 0; word < count; word++)
            {
                late.Bytes.AsSpan((int)offset + (word * size), size).Reverse();
            }
        });
    }

    // By the host's stream over a copy of the bytes.
    public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks)
    {
        CheckSummarise(values, offset, dtype, count, chunks);
        Synchronize();
        using var copy = HostDevice.Shared.Allocate(dtype.ByteCount(count));
        ((LateMemory)values).Bytes.AsSpan((int)offset, (int)copy.Length).CopyTo(((HostMemory)copy).AsSpan(0, (int)copy.Length));
        using var stream = HostDevice.Shared.CreateStream();
        stream.Summarise(copy, 0, dtype, count, chunks);
    }

    // By the host's stream over copies of the bytes.
    public override void Dequantize(in QuantizedView source, in StridedView destination)
    {
        var (from, to) = (source, destination);
        Give(() =>
        {
            var copies = new List<DeviceMemory>();
            try
            {
                var onHost = new QuantizedView(
                    from.Scheme,
                    OnHost(from.Payload),
                    OnHost(from.Scales),
                    from.ZeroPoints is { } zeros ? OnHost(zeros) : null,
                    from.GroupIndices is { } groups ? OnHost(groups) : null);
                var result = OnHost(to);
                using var stream = HostDevice.Shared.CreateStream();
                stream.Dequantize(onHost, result);
                ((HostMemory)result.Memory).AsSpan(0, (int)result.Memory.Length).CopyTo(((LateMemory)to.Memory).Bytes);
            }
            finally
            {
                copies.ForEach(copy => copy.Dispose());
            }

            StridedView OnHost(StridedView view)
            {
                var copy = (HostMemory)HostDevice.Shared.Allocate(view.Memory.Length);
                copies.Add(copy);
                ((LateMemory)view.Memory).Bytes.CopyTo(copy.AsSpan(0, (int)copy.Length));
                return view with { Memory = copy };
            }
        });
    }

    public override Fence Record()
    {
        lock (_lock)
        {
            var fence = new LateFence(this, _given, device.IsFailingFence());
            if (device.Lateness == Lateness.Soon)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => DoUntil(fence.Point), null);
            }

            return fence;
        }
    }

    public override void Synchronize() => DoUntil(long.MaxValue);

    protected override void Dispose(bool disposing)
    {
        lock (_lock)
        {
            _ended = true;
            if (_work.Count > 0)
            {
                device.Note($"a stream ended with {_work.Count} pieces of work to do");
            }
        }
    }

    private static Span<byte> Bytes(StridedView view, long offset, int length) => view.Memory is LateMemory late
        ? late.Bytes.AsSpan((int)(view.ByteOffset + offset), length)
        : ((HostMemory)view.Memory).AsSpan(view.ByteOffset + offset, length);

    // Element by element, or block by block: slow, and nothing to get wrong.
    private static void CopyOneByOne(StridedView from, StridedView to)
    {
        foreach (var (read, write) in Offsets(from).Zip(Offsets(to)))
        {
            Bytes(from, read, from.DType.BlockSize).CopyTo(Bytes(to, write, from.DType.BlockSize));
        }
    }

    // Of each element or block, from the first one on.
    private static IEnumerable<long> Offsets(StridedView view)
    {
        var sizes = view.Shape.Dimensions.ToArray();
        if (sizes.Length > 0)
        {
            sizes[^1] /= view.DType.BlockLength;
        }

        var index = new long[sizes.Length];
        for (var left = sizes.Aggregate(1L, (product, one) => product * one); left > 0; left--)
        {
            yield return view.DType.BlockSize * index.Zip(view.Strides, (i, stride) => i * stride).Sum();
            for (var d = sizes.Length - 1; d >= 0 && ++index[d] == sizes[d]; d--)
            {
                index[d] = 0;
            }
        }
    }

    private void Give(Action work)
    {
        lock (_lock)
        {
            if (_ended)
            {
                device.Note("work was given to a stream that had ended");
            }

            _work.Enqueue(work);
            _given++;
        }
    }

    private void DoUntil(long point)
    {
        lock (_lock)
        {
            while (_done < point && _work.TryDequeue(out var work))
            {
                work();
                _done++;
            }
        }
    }

    private bool IsDone(long point)
    {
        lock (_lock)
        {
            return _done >= point;
        }
    }

    private sealed class LateFence(LateStream stream, long point, bool fails) : Fence
    {
        public long Point => point;

        public override bool HasPassed => !fails && stream.IsDone(point);

        public override async ValueTask WaitAsync(CancellationToken cancellationToken = default)
        {
            // Always on another thread, as a driver's callback.
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            if (fails)
            {
                throw new InvalidOperationException("The device was lost.");
            }

            stream.DoUntil(point);
        }
    }
}
