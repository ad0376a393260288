using System.Buffers;
using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Reads single values of a tensor, whatever its strides are, without loading it. Safe for any thread.</summary>
public static class TensorValues
{
    // Values are looked at, not loaded; whoever wants more loads the tensor.
    private const int MostElements = 1 << 20;

    /// <summary>Reads some elements that follow one another in row-major order.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="firstElement">The first element, from 0.</param>
    /// <param name="count">How many, at most 2^20.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>One value an element; of a complex type two, real part first.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The tensor does not have these elements.</exception>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced.</exception>
    public static async Task<ImmutableArray<StoredValue>> ReadAsync(
        TensorInfo tensor, long firstElement, int count, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MostElements);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, tensor.ElementCount - count);
        var decoder = ValueDecoder.Of(tensor.DType);
        if (count == 0)
        {
            return [];
        }

        // Elements of less than a byte and of blocks are read with their neighbours.
        var block = tensor.DType.BlockLength;
        var begin = firstElement / block * block;
        var end = (firstElement + count + block - 1) / block * block;
        var length = (int)tensor.DType.ByteCount(end - begin);
        var stored = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await TensorPieces.ReadAsync(tensor, begin, stored.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            return Decode(decoder, stored.AsSpan(0, length), (int)(firstElement - begin), count);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
        }
    }

    private static ImmutableArray<StoredValue> Decode(ValueDecoder decoder, ReadOnlySpan<byte> stored, int skip, int count)
    {
        var perElement = decoder.ValuesPerElement;
        var buffer = ArrayPool<double>.Shared.Rent(stored.Length / decoder.DType.BlockSize * decoder.DType.BlockLength * perElement);
        try
        {
            var numbers = decoder.DecodeDouble(stored, buffer).Slice(skip * perElement, count * perElement);
            var values = ImmutableArray.CreateBuilder<StoredValue>(numbers.Length);
            for (var i = 0; i < numbers.Length; i++)
            {
                values.Add(new StoredValue(decoder.ValueType, numbers[i], decoder.IsWideInteger ? decoder.WideInteger(stored, skip + i) : null));
            }

            return values.MoveToImmutable();
        }
        finally
        {
            ArrayPool<double>.Shared.Return(buffer);
        }
    }
}
