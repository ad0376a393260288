using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One worker's stream on a device, and memory there for values that are decoded to be summed up. One thread at a time uses it.
/// </summary>
/// <remarks>
/// What is summed up lies in F32, or in F64 where that does not hold every value. The extremes of 64-bit integers, which
/// neither holds, are the host's work.
/// </remarks>
/// <param name="device">The device.</param>
internal sealed class SummaryLane(Device device) : IDisposable
{
    // The values of 16 MiB of BF16: enough for a launch to be worth its cost, and little beside a model.
    private const long ScratchBytes = 32L << 20;

    private readonly DeviceStream _stream = device.CreateStream();
    private DeviceMemory? _scratch;
    private HostMemory? _host;
    private Moments[] _chunks = [];

    /// <summary>Has a device compile what summing up values of these types takes, once and in order, before lanes race for it.</summary>
    public static void Prepare(Device device, IEnumerable<DType> stored)
    {
        (DType Stored, DType Target)[] conversions = [.. stored.Distinct().Select(dtype => (dtype, TargetOf(ValueDecoder.Of(dtype))))];
        device.Prepare(conversions.Where(conversion => conversion.Stored != conversion.Target));
        device.PrepareSummaries(conversions.Select(conversion => conversion.Target).Distinct());
    }

    /// <summary>Adds stored elements that a slot of the device's staging pool holds; they may be overwritten once this returns.</summary>
    public void AddStored(ReadOnlySpan<byte> staged, TensorMoments moments, CancellationToken cancellationToken)
    {
        var decoder = moments.Decoder;
        var target = TargetOf(decoder);
        var most = (int)decoder.DType.ByteCount(ElementsPerPart(decoder, target));
        for (var part = staged; !part.IsEmpty; part = part[Math.Min(most, part.Length)..])
        {
            cancellationToken.ThrowIfCancellationRequested();
            var stored = part[..Math.Min(most, part.Length)];
            var values = stored.Length / decoder.DType.BlockSize * (long)decoder.DType.BlockLength * decoder.ValuesPerElement;
            var scratch = RentScratch(target.ByteCount(values));
            _stream.Place(stored, decoder.DType, scratch, 0, target);
            // The host is free to look at the slot while the device works.
            moments.AddIntegers(stored);
            moments.Add(Summarise(scratch, 0, target, values));
        }
    }

    /// <summary>Adds elements of a tensor of this device, in row-major order.</summary>
    /// <param name="tensor">The tensor, with any strides.</param>
    /// <param name="first">Where to begin: at a multiple of <see cref="Moments.ChunkLength"/>.</param>
    /// <param name="count">How many elements.</param>
    /// <param name="moments">What they are added to.</param>
    /// <param name="cancellationToken">Ends the work within one part.</param>
    public void AddTensor(Tensor tensor, long first, long count, TensorMoments moments, CancellationToken cancellationToken)
    {
        var decoder = moments.Decoder;
        ForEachPart(tensor, decoder, first, count, (at, part) =>
        {
            moments.Add(Summarise(part.Memory, part.Offset, part.DType, part.Count));
            if (decoder.IsWideInteger)
            {
                var bytes = checked((int)tensor.DType.ByteCount(part.Count));
                var host = RentHost(bytes);
                TensorRange.Copy(_stream, tensor, at, part.Count, host, tensor.DType);
                _stream.Synchronize();
                moments.AddIntegers(host.AsSpan(0, bytes));
            }

            return true;
        }, cancellationToken);
    }

    /// <summary>The first element of a tensor of this device that is not finite, in row-major order; null where all are.</summary>
    public long? FindNotFinite(Tensor tensor, CancellationToken cancellationToken)
    {
        var decoder = ValueDecoder.Of(tensor.DType);
        long? found = null;
        ForEachPart(tensor, decoder, 0, tensor.ElementCount, (at, part) =>
        {
            var chunks = Summarise(part.Memory, part.Offset, part.DType, part.Count);
            var chunk = 0;
            while (chunk < chunks.Length && chunks[chunk].Finite == chunks[chunk].Count)
            {
                chunk++;
            }

            if (chunk == chunks.Length)
            {
                return true;
            }

            var before = (long)chunk * Moments.ChunkLength;
            var odd = part with
            {
                Offset = part.Offset + part.DType.ByteCount(before),
                Count = Math.Min(Moments.ChunkLength, part.Count - before),
            };
            found = at + ((before + IndexOfNotFinite(odd)) / decoder.ValuesPerElement);
            return false;
        }, cancellationToken);
        return found;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            // After a failure work may be under way that still reads or writes what is given back now.
            _stream.Synchronize();
        }
        finally
        {
            _stream.Dispose();
            _scratch?.Dispose();
            _host?.Dispose();
        }
    }

    private static DType TargetOf(ValueDecoder decoder) => decoder.FitsSingle ? DType.F32 : DType.F64;

    // A multiple of a chunk, which is a multiple of every block's length.
    private static long ElementsPerPart(ValueDecoder decoder, DType target) => ScratchBytes / target.BlockSize / decoder.ValuesPerElement;

    private void ForEachPart(
        Tensor tensor, ValueDecoder decoder, long first, long count, Func<long, ValuesPart, bool> next, CancellationToken cancellationToken)
    {
        var target = TargetOf(decoder);
        using var values = ViewOfParts(tensor, decoder);
        // Where values lie side by side as they are summed up, nothing is copied.
        var inPlace = tensor.IsContiguous && values.DType == target && tensor.ByteOffset % target.BlockSize == 0;
        var perPart = ElementsPerPart(decoder, target);
        for (long done = 0; done < count; done += perPart)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (begin, length) = ((first + done) * decoder.ValuesPerElement, Math.Min(perPart, count - done) * decoder.ValuesPerElement);
            ValuesPart part;
            if (inPlace)
            {
                part = new ValuesPart(tensor.Memory, tensor.ByteOffset + target.ByteCount(begin), target, length);
            }
            else
            {
                part = new ValuesPart(RentScratch(target.ByteCount(length)), 0, target, length);
                TensorRange.Copy(_stream, values, begin, length, part.Memory, target);
            }

            if (!next(first + done, part))
            {
                return;
            }
        }
    }

    // A complex number is two values side by side.
    private static Tensor ViewOfParts(Tensor tensor, ValueDecoder decoder) => decoder.ValuesPerElement == 1
        ? new Tensor(tensor.Memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset)
        : new Tensor(
            tensor.Memory,
            decoder.ValueType,
            new Shape([.. tensor.Shape, decoder.ValuesPerElement]),
            [.. tensor.Strides.Select(stride => stride * decoder.ValuesPerElement), 1],
            tensor.ByteOffset);

    private ReadOnlySpan<Moments> Summarise(DeviceMemory memory, long offset, DType dtype, long count)
    {
        var chunks = checked((int)Moments.CountChunks(count));
        if (_chunks.Length < chunks)
        {
            _chunks = new Moments[chunks];
        }

        _stream.Summarise(memory, offset, dtype, count, _chunks.AsSpan(0, chunks));
        return _chunks.AsSpan(0, chunks);
    }

    private int IndexOfNotFinite(ValuesPart part)
    {
        var bytes = checked((int)part.DType.ByteCount(part.Count));
        var host = RentHost(bytes);
        var shape = new Shape(part.Count);
        _stream.Copy(
            new StridedView(part.Memory, part.DType, shape, [1], part.Offset), new StridedView(host, part.DType, shape, [1], 0));
        _stream.Synchronize();
        var values = ValueDecoder.Of(part.DType).DecodeDouble(host.AsSpan(0, bytes), new double[part.Count]);
        var index = 0;
        while (double.IsFinite(values[index]))
        {
            index++;
        }

        return index;
    }

    private DeviceMemory RentScratch(long bytes)
    {
        if (_scratch is null || _scratch.Length < bytes)
        {
            // Nothing is under way: whoever asks has waited for what was there.
            _scratch?.Dispose();
            _scratch = null;
            _scratch = device.Allocate(bytes);
        }

        return _scratch;
    }

    private HostMemory RentHost(long bytes)
    {
        if (_host is null || _host.Length < bytes)
        {
            _host?.Dispose();
            _host = null;
            _host = (HostMemory)HostDevice.Shared.Allocate(bytes);
        }

        return _host;
    }

    private readonly record struct ValuesPart(DeviceMemory Memory, long Offset, DType DType, long Count);
}
