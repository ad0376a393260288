using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Elements made in place.</content>
internal sealed partial class IlgpuStream
{
    // What a thread writes at once, and a kernel takes as an argument.
    private const int WidestWord = 16;

    /// <inheritdoc/>
    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
        destination.CheckElement(element);
        var memory = Own(destination.Memory);
        if (destination.Shape.ElementCount == 0)
        {
            return;
        }

        TensorLayout.CheckWithin(destination);
        var period = PeriodOf(element);
        var parts = StridedWords.Repeat(WidestWord, destination);
        if (period is null || parts.Any(words => words.WordBytes % period != 0))
        {
            FillFromPattern(destination, element);
            return;
        }

        var word = new byte[WidestWord];
        for (var i = 0; i < word.Length; i++)
        {
            word[i] = element[i % period.Value];
        }

        Launch(() =>
        {
            foreach (var words in parts)
            {
                foreach (var (threads, loops) in words.Launches(_device.Limits.Threads))
                {
                    _device.MemoryKernels.Words(words.WordBytes).Fill(_stream, memory.View, threads, loops, word);
                }
            }
        });
    }

    /// <inheritdoc/>
    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
        RandomFill.Check(dtype, low, high);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var memory = Own(destination);
        if (count == 0)
        {
            return;
        }

        var kernel = _device.MemoryKernels.Uniform(dtype);
        var room = memory.Range(destinationOffset, dtype.ByteCount(count));
        if (destinationOffset % kernel.Alignment == 0)
        {
            Launch(() => kernel.Launch(_stream, room, count, new UniformValues(seed, firstElement, low, high - low), _device.Limits.Threads));
            return;
        }

        // Stores of several elements need a multiple of their size; a copy of bytes does not.
        var scratch = Scratch(ref _decoded, dtype.ByteCount(Math.Min(count, PartElements)));
        for (long done = 0; done < count; done += PartElements)
        {
            var part = Math.Min(PartElements, count - done);
            var values = new UniformValues(seed, firstElement + done, low, high - low);
            Launch(() => kernel.Launch(_stream, scratch.Range(0, dtype.ByteCount(part)), part, values, _device.Limits.Threads));
            CopyBytes(scratch, 0, memory, destinationOffset + dtype.ByteCount(done), dtype.ByteCount(part));
        }
    }

    /// <inheritdoc/>
    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
        CheckWordSize(size);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var own = Own(memory);
        if (count == 0)
        {
            return;
        }

        _ = own.Range(offset, checked(count * size));
        Launch(() => _device.MemoryKernels.Swap(_stream, own.View, offset, count, size, _device.Limits.Threads));
    }

    // The length after which an element's bytes repeat, if a word holds a whole number of them.
    private static int? PeriodOf(ReadOnlySpan<byte> element)
    {
        for (var period = 1; period <= WidestWord; period *= 2)
        {
            if (element.Length % period == 0 && element[period..].SequenceEqual(element[..^period]))
            {
                return period;
            }
        }

        return null;
    }

    // Blocks, and places that no word begins on: the bytes are copied from where they were brought once.
    private void FillFromPattern(in StridedView destination, ReadOnlySpan<byte> element)
    {
        // As many elements as are whole words.
        var repetitions = WidestWord / Math.Min(WidestWord, element.Length & -element.Length);
        var length = repetitions * element.Length;
        var onHost = HostScratch(length);
        for (var i = 0; i < repetitions; i++)
        {
            element.CopyTo(onHost.AsSpan(i * element.Length, element.Length));
        }

        var pattern = Scratch(ref _stored, length);
        Upload(onHost, 0, pattern, 0, length);
        foreach (var words in StridedWords.Repeat(length, destination))
        {
            CopyWords(words, pattern, Own(destination.Memory));
        }
    }
}
