using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The moments of a tensor's values, added chunk by chunk in order, with the exact extremes of 64-bit integers.</summary>
/// <param name="decoder">The decoder of the tensor's type.</param>
internal sealed class TensorMoments(ValueDecoder decoder)
{
    private Int128 _minimum = Int128.MaxValue;
    private Int128 _maximum = Int128.MinValue;

    /// <summary>The decoder of the tensor's type.</summary>
    public ValueDecoder Decoder => decoder;

    /// <summary>What was added so far.</summary>
    public Moments Values { get; private set; } = new();

    /// <summary>The smallest 64-bit integer.</summary>
    public Int128 MinimumInteger => _minimum;

    /// <summary>The largest 64-bit integer.</summary>
    public Int128 MaximumInteger => _maximum;

    /// <summary>Adds chunks that follow.</summary>
    public void Add(ReadOnlySpan<Moments> chunks)
    {
        foreach (ref readonly var chunk in chunks)
        {
            Values = Values.With(chunk);
        }
    }

    /// <summary>Adds the stretch that follows.</summary>
    public void Add(TensorMoments next)
    {
        Values = Values.With(next.Values);
        _minimum = Int128.Min(_minimum, next._minimum);
        _maximum = Int128.Max(_maximum, next._maximum);
    }

    /// <summary>Adds stored elements that follow, at most a chunk of them; computed here.</summary>
    /// <param name="stored">Whole elements or blocks.</param>
    /// <param name="buffer">Room for their values, of which complex numbers have two.</param>
    public void AddStored(ReadOnlySpan<byte> stored, Span<double> buffer)
    {
        if (decoder.FitsSingle)
        {
            ReadOnlySpan<float> values = decoder.DecodeSingle(stored, System.Runtime.InteropServices.MemoryMarshal.Cast<double, float>(buffer));
            for (; !values.IsEmpty; values = values[Math.Min(Moments.ChunkLength, values.Length)..])
            {
                Values = Values.With(ChunkMoments.Of(values[..Math.Min(Moments.ChunkLength, values.Length)]));
            }
        }
        else
        {
            ReadOnlySpan<double> values = decoder.DecodeDouble(stored, buffer);
            for (; !values.IsEmpty; values = values[Math.Min(Moments.ChunkLength, values.Length)..])
            {
                Values = Values.With(ChunkMoments.Of(values[..Math.Min(Moments.ChunkLength, values.Length)]));
            }
        }

        AddIntegers(stored);
    }

    /// <summary>
    /// Takes the extremes of 64-bit integers, which doubles do not hold, from the stored elements; of other types nothing.
    /// </summary>
    public void AddIntegers(ReadOnlySpan<byte> stored)
    {
        for (var i = 0; decoder.IsWideInteger && i < stored.Length / sizeof(long); i++)
        {
            var value = decoder.WideInteger(stored, i);
            _minimum = Int128.Min(_minimum, value);
            _maximum = Int128.Max(_maximum, value);
        }
    }
}
