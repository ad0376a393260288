using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Fills memory with reproducible pseudo-random values that depend on the seed and the element's index only.</summary>
public static class RandomFill
{
    // Values are made as F32 and then narrowed; this many stay in the first-level cache.
    private const int ChunkElements = 4096;

    /// <summary>A seed for one tensor of many.</summary>
    /// <param name="seed">The seed for all.</param>
    /// <param name="name">The tensor's name.</param>
    public static ulong SeedFor(ulong seed, string name) => CounterRandom.SeedFor(seed, name);

    /// <summary>
    /// Fills a part of a tensor with uniform values in [low, high), rounded to what the dtype can hold: with few bits, or
    /// with an interval that is narrow for its place, that can be <paramref name="high"/> itself.
    /// </summary>
    /// <param name="destination">The part, row-major; a whole number of elements.</param>
    /// <param name="dtype">One of <see cref="Codecs.Targets"/>.</param>
    /// <param name="firstElement">The index of the part's first element in the tensor.</param>
    /// <param name="seed">The tensor's seed.</param>
    /// <param name="low">The least value.</param>
    /// <param name="high">The bound above.</param>
    /// <exception cref="ArgumentException">The dtype is not one of these, or the part is no whole number of elements.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The bounds are not finite and in order.</exception>
    public static void Uniform(Span<byte> destination, DType dtype, long firstElement, ulong seed, float low, float high)
    {
        Check(dtype, low, high);
        var codec = Codecs.Of(DType.F32);
        var (elements, rest) = Math.DivRem(destination.Length, dtype.BlockSize);
        if (rest != 0)
        {
            throw new ArgumentException($"{destination.Length} bytes are no whole number of elements of {dtype.Name}.", nameof(destination));
        }

        Span<float> values = stackalloc float[ChunkElements];
        for (var done = 0; done < elements; done += ChunkElements)
        {
            var chunk = values[..Math.Min(ChunkElements, elements - done)];
            for (var i = 0; i < chunk.Length; i++)
            {
                chunk[i] = CounterRandom.Uniform(seed, firstElement + done + i, low, high - low);
            }

            var bytes = MemoryMarshal.AsBytes(chunk);
            codec.Decode(bytes, destination.Slice(done * dtype.BlockSize, chunk.Length * dtype.BlockSize), dtype);
        }
    }

    /// <summary>Checks what values are asked for.</summary>
    internal static void Check(DType dtype, float low, float high)
    {
        if (!Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException($"{dtype.Name} cannot be filled with random values, only {Codecs.TargetNames}.", nameof(dtype));
        }

        if (!float.IsFinite(high - low) || low > high)
        {
            throw new ArgumentOutOfRangeException(nameof(high), high, $"From {low} on, this is no interval of a finite width.");
        }
    }
}
