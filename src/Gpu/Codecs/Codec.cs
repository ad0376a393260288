using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Decodes one stored <see cref="Formats.DType"/> into a float type (<see cref="Codecs.Targets"/>) on the host. Codecs are found in
/// <see cref="Codecs"/>; they hold no state and are safe for any thread.
/// </summary>
/// <remarks>
/// Values are bit-exact with the reference: PyTorch for conversions, ggml for block types. The rules are those of
/// <see cref="FloatBits"/>; a type decoded to itself is copied, NaN and all.
/// </remarks>
public abstract unsafe class Codec
{
    private protected Codec(DType dtype) => DType = dtype;

    /// <summary>The stored type.</summary>
    public DType DType { get; }

    /// <summary>Values of the target type that one stored element becomes: 2 for complex types (real, imaginary), else 1.</summary>
    public virtual int ValuesPerElement => 1;

    /// <summary>The type whose values are stored as they are: the type itself, or a complex type's component.</summary>
    internal virtual DType ValueType => DType;

    /// <summary>Whether <paramref name="target"/> is a type this codec decodes to.</summary>
    [SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "A question to a codec; block types will have answers of their own.")]
    public bool CanDecodeTo(DType target) => Codecs.Targets.Contains(target);

    /// <summary>Decodes by the fastest way this processor has.</summary>
    /// <param name="source">Whole stored elements (whole blocks for block types), little-endian, of any alignment.</param>
    /// <param name="destination">
    /// Room for exactly the decoded values, of any alignment; must not overlap the source unless the type stays the same.
    /// </param>
    /// <param name="target">The type of the decoded values; <see cref="CanDecodeTo"/> it.</param>
    /// <param name="bypassCache">
    /// Whether the output is large and not read again soon: it is then written with streaming stores where there is a vector
    /// path. The values are the same and visible to other threads in the ordinary way.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The codec does not decode to <paramref name="target"/>, a length does not fit, or the spans overlap.
    /// </exception>
    public void Decode(ReadOnlySpan<byte> source, Span<byte> destination, DType target, bool bypassCache = false)
    {
        var count = CountValues(source, destination, target);
        fixed (byte* from = source)
        fixed (byte* to = destination)
        {
            if (target == ValueType)
            {
                // The vector driver writes its head and tail twice, which an overlap does not survive; a plain copy does.
                Copy(from, to, source.Length, bypassCache && !source.Overlaps(destination));
            }
            else
            {
                DecodeFast(from, to, count, target, bypassCache);
            }
        }
    }

    /// <summary>
    /// Decodes by the codec's scalar body, the method that devices run too: the oracle that every other path is held against.
    /// </summary>
    /// <inheritdoc cref="Decode" path="/param"/>
    /// <inheritdoc cref="Decode" path="/exception"/>
    public void DecodeScalar(ReadOnlySpan<byte> source, Span<byte> destination, DType target)
    {
        var count = CountValues(source, destination, target);
        if (target == ValueType)
        {
            source.CopyTo(destination);
            return;
        }

        fixed (byte* from = source)
        fixed (byte* to = destination)
        {
            DecodeUnits(from, to, count, target);
        }
    }

    /// <summary>Hands the scalar body to <paramref name="visitor"/> as a type argument. A complex type's is its component's.</summary>
    /// <remarks>
    /// The body converts; a type decoded to itself is the caller's to copy (narrowing a float32 that came from an F16 NaN would quiet it).
    /// </remarks>
    public abstract TResult Accept<TResult>(IUnitVisitor<TResult> visitor);

    /// <summary>The scalar body over pointers.</summary>
    internal abstract void DecodeUnits(byte* source, byte* destination, long count, DType target);

    /// <summary>The fastest path over pointers; never called for a plain copy.</summary>
    internal virtual void DecodeFast(byte* source, byte* destination, long count, DType target, bool bypassCache) =>
        DecodeUnits(source, destination, count, target);

    private static void Copy(byte* source, byte* destination, int length, bool bypassCache)
    {
        // Four bytes are four bytes: F32's vectors change none. What is left over is shorter than one value of them.
        var words = length / F32Vectors.Size;
        var copied = bypassCache && VectorConversion.TryRunWidest<F32Vectors, F32Vectors>(source, destination, words, bypassCache)
            ? words * F32Vectors.Size
            : 0;
        Buffer.MemoryCopy(source + copied, destination + copied, length - copied, length - copied);
    }

    private long CountValues(ReadOnlySpan<byte> source, Span<byte> destination, DType target)
    {
        if (!CanDecodeTo(target))
        {
            throw new ArgumentException($"{DType.Name} decodes to {Codecs.TargetNames}, not to {target.Name}.", nameof(target));
        }

        var (groups, rest) = Math.DivRem(source.Length, DType.BlockSize);
        if (rest != 0)
        {
            throw new ArgumentException(
                $"{source.Length} bytes are not whole elements or blocks of {DType.Name}, which have {DType.BlockSize} bytes.",
                nameof(source));
        }

        var count = (long)groups * DType.BlockLength * ValuesPerElement;
        if (destination.Length != target.ByteCount(count))
        {
            throw new ArgumentException(
                $"{source.Length} bytes of {DType.Name} decode to {count} values of {target.Name}, that is "
                + $"{target.ByteCount(count)} bytes; the destination has {destination.Length}.",
                nameof(destination));
        }

        if (target != ValueType && source.Overlaps(destination))
        {
            throw new ArgumentException("The destination overlaps the source.", nameof(destination));
        }

        return count;
    }
}
