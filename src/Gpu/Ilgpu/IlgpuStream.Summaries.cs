using System.Buffers;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Sums of values.</content>
internal sealed partial class IlgpuStream
{
    private IlgpuMemory? _sums;

    /// <inheritdoc/>
    public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks)
    {
        var memory = Own(values);
        CheckSummarise(values, offset, dtype, count, chunks);
        for (var first = 0; first < chunks.Length; first += _device.Limits.Chunks)
        {
            var before = (long)first * Moments.ChunkLength;
            var some = chunks.Slice(first, Math.Min(_device.Limits.Chunks, chunks.Length - first));
            SummarisePart(memory, offset + dtype.ByteCount(before), dtype, Math.Min(count - before, (long)some.Length * Moments.ChunkLength), some);
        }
    }

    private void SummarisePart(IlgpuMemory memory, long offset, DType dtype, long count, Span<Moments> chunks)
    {
        var length = chunks.Length * SummaryKernels.ResultLength;
        var kernel = _device.SummaryKernelOf(dtype);
        var view = memory.Range(offset, dtype.ByteCount(count));
        var room = Scratch(ref _sums, (long)length * sizeof(double)).Range(0, (long)length * sizeof(double));
        var groups = chunks.Length;
        Launch(() => kernel.Launch(_stream, view, room, groups));
        var results = ArrayPool<double>.Shared.Rent(length);
        try
        {
            Download(room, MemoryMarshal.AsBytes(results.AsSpan(0, length)));
            var odd = 0;
            for (var chunk = 0; chunk <= chunks.Length; chunk++)
            {
                // Values that are not finite, and sums that are too large, are few, and the host's work: those values come back.
                var isOdd = chunk < chunks.Length && !double.IsFinite(results[chunk * SummaryKernels.ResultLength]);
                if (odd > 0 && (!isOdd || odd == _device.Limits.OddChunks))
                {
                    SummariseHere(memory, offset, dtype, count, chunk - odd, chunks.Slice(chunk - odd, odd));
                    odd = 0;
                }

                if (isOdd)
                {
                    odd++;
                }
                else if (chunk < chunks.Length)
                {
                    var values = (int)Math.Min(Moments.ChunkLength, count - ((long)chunk * Moments.ChunkLength));
                    chunks[chunk] = SumsOf(results.AsSpan(chunk * SummaryKernels.ResultLength, SummaryKernels.ResultLength), values).ToMoments();
                }
            }
        }
        finally
        {
            ArrayPool<double>.Shared.Return(results);
        }
    }

    private static ChunkSums SumsOf(ReadOnlySpan<double> results, int count) =>
        new(count, results[0] / count, results[1], results[2], results[3], results[4], (long)results[5]);

    private void SummariseHere(IlgpuMemory memory, long offset, DType dtype, long count, int first, Span<Moments> chunks)
    {
        var before = (long)first * Moments.ChunkLength;
        var length = (int)dtype.ByteCount(Math.Min((long)chunks.Length * Moments.ChunkLength, count - before));
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var bytes = buffer.AsSpan(0, length);
            Download(memory.Range(offset + dtype.ByteCount(before), length), bytes);
            ChunkMoments.OfChunks(bytes, dtype, chunks);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Waits, so that the bytes may move afterwards.
    private unsafe void Download(ILGPU.ArrayView<byte> source, Span<byte> destination)
    {
        fixed (byte* pinned = destination)
        {
            var address = (nint)pinned;
            try
            {
                Do("sums were downloaded", () => HostCopies.Download(_stream, source, ref *(byte*)address));
            }
            finally
            {
                Synchronize();
            }
        }
    }
}
