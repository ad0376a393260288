using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Views of all kinds: transposed, permuted, narrowed, stepped, expanded, overlapping, of one element, empty, without dimensions.</summary>
public static class ViewGenerator
{
    private static readonly DType[] Types =
        [DType.BOOL, DType.U8, DType.F8_E4M3, DType.I16, DType.BF16, DType.F16, DType.F32, DType.C32, DType.I64, DType.F64, DType.C64, DType.C128];

    /// <summary>A dtype of any size.</summary>
    public static DType NextDType(Random random) => random.GetItems(Types, 1)[0];

    /// <summary>A view of a storage.</summary>
    /// <param name="random">Where it comes from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="elements">The storage's elements, at least one.</param>
    public static ViewShape Next(Random random, string name, long elements)
    {
        var rank = random.Next(5);
        var (shape, strides) = (new long[rank], new long[rank]);
        var start = random.Next(3) == 0 ? random.NextInt64(elements) : 0;
        var room = elements - 1 - start;
        long dense = 1;
        foreach (var i in Shuffled(random, rank))
        {
            // The stride of a dimension of one counts for nothing, and need not be within the storage.
            strides[i] = random.Next(6) switch
            {
                0 => 0,
                1 => random.Next(1, 9),
                2 => dense * random.Next(1, 4),
                3 => random.NextInt64(elements + 1),
                _ => dense,
            };
            var most = strides[i] == 0 ? 40 : 1 + (room / strides[i]);
            shape[i] = random.Next(12) == 0 ? 0 : random.NextInt64(1, Math.Max(1, Math.Min(most, random.Next(4) == 0 ? 1000 : 20)) + 1);
            room -= Math.Max(0, shape[i] - 1) * strides[i];
            dense = Math.Max(dense, strides[i] * Math.Max(1, shape[i]));
            strides[i] = shape[i] == 1 && random.Next(2) == 0 ? random.NextInt64(1L << 40) : strides[i];
        }

        // What a test walks element by element stays small.
        while (shape.Aggregate(1L, (product, one) => product * one) > 20_000)
        {
            shape[Array.IndexOf(shape, shape.Max())] /= 2;
        }

        return new ViewShape(name, shape, [.. strides], start);
    }

    private static int[] Shuffled(Random random, int count)
    {
        var order = Enumerable.Range(0, count).ToArray();
        random.Shuffle(order);
        return order;
    }
}
