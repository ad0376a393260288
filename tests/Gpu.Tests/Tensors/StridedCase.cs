using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// A dtype, a shape and strides at a place in some bytes, and where each unit of it lies by the definition alone: one sum
/// a unit. A unit is an element, a block, or a group of sub-byte elements that fills whole bytes.
/// </summary>
/// <param name="DType">The element type.</param>
/// <param name="Sizes">Units in each dimension.</param>
/// <param name="UnitStrides">Strides in units.</param>
/// <param name="ByteOffset">Where the first unit is.</param>
internal sealed record StridedCase(DType DType, long[] Sizes, long[] UnitStrides, long ByteOffset)
{
    public Shape Shape => new([.. Sizes.Select((size, i) => i == Sizes.Length - 1 ? size * DType.BlockLength : size)]);

    /// <summary>As a tensor counts them: in elements, or in blocks for block types.</summary>
    public ImmutableArray<long> Strides =>
        [.. UnitStrides.Select((stride, i) => DType.IsSubByte && i < Sizes.Length - 1 ? stride * DType.BlockLength : stride)];

    /// <summary>The bytes of a memory that ends with the last unit.</summary>
    public long MemoryBytes => ByteOffset + (Offsets().DefaultIfEmpty(ByteOffset - DType.BlockSize).Max() - ByteOffset) + DType.BlockSize;

    public static StridedCase Random(Random random, DType dtype, long[] sizes, bool mayRepeat)
    {
        var strides = new long[sizes.Length];
        var order = Enumerable.Range(0, sizes.Length).Reverse().ToArray();
        // Sub-byte elements keep their last dimension innermost.
        if (!dtype.IsSubByte && random.Next(2) == 0)
        {
            random.Shuffle(order);
        }

        var isInnermost = true;
        long next = 1;
        foreach (var dimension in order)
        {
            var mayPad = !(dtype.IsSubByte && isInnermost);
            next *= mayPad && random.Next(4) == 0 ? 2 : 1;
            strides[dimension] = mayRepeat && mayPad && random.Next(8) == 0 ? 0 : next;
            next *= sizes[dimension] + (random.Next(3) == 0 ? 1 : 0);
            next = Math.Max(next, 1);
            isInnermost = false;
        }

        return new StridedCase(dtype, sizes, strides, random.Next(3) * dtype.BlockSize);
    }

    /// <summary>The same, sometimes at a place where an element would not be aligned.</summary>
    public StridedCase Moved(Random random) => random.Next(4) == 0 ? this with { ByteOffset = random.Next(40) } : this;

    public Tensor Over(DeviceMemory memory) => new(memory, DType, Shape, Strides, ByteOffset);

    /// <summary>The byte offset of every unit in row-major order.</summary>
    public IEnumerable<long> Offsets()
    {
        var count = Sizes.Aggregate(1L, (product, size) => product * size);
        for (long unit = 0; unit < count; unit++)
        {
            var (rest, offset) = (unit, ByteOffset);
            for (var i = Sizes.Length - 1; i >= 0; i--)
            {
                offset += rest % Sizes[i] * UnitStrides[i] * DType.BlockSize;
                rest /= Sizes[i];
            }

            yield return offset;
        }
    }

    public override string ToString() =>
        $"{DType.Name} {Shape} strides [{string.Join(", ", Strides)}] at {ByteOffset} of {MemoryBytes}";
}
