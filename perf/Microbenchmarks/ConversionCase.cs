using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>One conversion over 256 MiB of output (or less where asked), with numbers of ordinary weights as its input.</summary>
internal sealed class ConversionCase : IDisposable
{
    public const long OutputBytes = 256L << 20;

    private readonly Codec _codec;

    public ConversionCase(DType from, DType to, long outputBytes = OutputBytes)
    {
        (From, To) = (from, to);
        _codec = Codecs.Of(from);
        Count = outputBytes / to.BlockSize;
        Input = new TouchedMemory(from.ByteCount(Count));
        Output = new TouchedMemory(outputBytes);

        // A normal distribution as weights have it, repeated: the values matter only where a path branches on them.
        var random = new Random(1);
        var weights = new float[1 << 16];
        for (var i = 0; i < weights.Length; i++)
        {
            weights[i] = (float)(0.02 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(Math.Tau * random.NextDouble()));
        }

        var pattern = new byte[weights.Length * from.BlockSize];
        var bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(weights.AsSpan());
        if (from.IsBlock)
        {
            // Any quants; without this bit no scale of 16 bits is infinite or larger than 2.
            pattern = new byte[(1 << 16) / from.BlockLength * from.BlockSize];
            random.NextBytes(pattern);
            for (var i = 0; i < pattern.Length; i++)
            {
                pattern[i] &= 0xBF;
            }
        }
        else if (from == DType.F8_E8M0)
        {
            // Scales: nothing decodes to them. As many different ones as weights would have.
            random.NextBytes(pattern);
        }
        else
        {
            Codecs.Of(DType.F32).DecodeScalar(bytes, pattern, from);
        }

        for (var offset = 0; offset < Input.Span.Length; offset += pattern.Length)
        {
            pattern.AsSpan(0, Math.Min(pattern.Length, Input.Span.Length - offset)).CopyTo(Input.Span[offset..]);
        }
    }

    public DType From { get; }

    public DType To { get; }

    public long Count { get; }

    public TouchedMemory Input { get; }

    public TouchedMemory Output { get; }

    public long TotalBytes => Input.Span.Length + Output.Span.Length;

    public void Scalar() => _codec.DecodeScalar(Input.Span, Output.Span, To);

    public void Best() => _codec.Decode(Input.Span, Output.Span, To);

    public void Streaming() => _codec.Decode(Input.Span, Output.Span, To, bypassCache: true);

    public unsafe ulong Read() => MemoryYardstick.Read(Input.Address, Input.Span.Length);

    public unsafe void Fill() => MemoryYardstick.FillStreaming(Output.Address, Output.Span.Length);

    public unsafe ulong ReadAndFill() => MemoryYardstick.ReadAndFill(
        Input.Address,
        32 * From.BlockSize,
        Output.Address,
        32 * From.BlockLength * To.BlockSize,
        (nint)(Count / 32 / From.BlockLength));

    /// <summary>As <see cref="Streaming"/>, on all cores: each has a part of its own.</summary>
    public void StreamingOnAllCores() => OnAllCores((input, output) =>
        _codec.Decode(Input.Span[input], Output.Span[output], To, bypassCache: true));

    public unsafe ulong ReadOnAllCores()
    {
        ulong sum = 0;
        OnAllCores((input, _) => Interlocked.Add(
            ref sum, MemoryYardstick.Read(Input.Address + input.Start.Value, input.End.Value - input.Start.Value)));
        return sum;
    }

    public unsafe void FillOnAllCores() => OnAllCores((_, output) =>
        MemoryYardstick.FillStreaming(Output.Address + output.Start.Value, output.End.Value - output.Start.Value));

    public void Dispose()
    {
        Input.Dispose();
        Output.Dispose();
    }

    // Parts of whole steps: 256 values fill whole vectors of every type and, of blocks, 32 fill whole lines.
    private void OnAllCores(Action<Range, Range> work)
    {
        var step = 256L * From.BlockLength;
        var cores = Environment.ProcessorCount;
        var steps = Count / step;
        Parallel.For(0, cores, core =>
        {
            var (first, end) = (core * steps / cores * step, core == cores - 1 ? Count : (core + 1) * steps / cores * step);
            work(
                (int)From.ByteCount(first)..(int)From.ByteCount(end),
                (int)To.ByteCount(first)..(int)To.ByteCount(end));
        });
    }
}
