using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Which tensors of a state hold everything.</summary>
public sealed class SubtensorFilterTests
{
    [Fact]
    public void Tensors_of_other_memories_and_devices_are_kept_though_they_lie_at_the_same_place()
    {
        using var a = Memory(16);
        using var b = Memory(16);
        using var other = new HostDevice().Allocate(16);
        Assert.Equal(["z", "b", "a"], Filter(("z", View(a, [4])), ("b", View(b, [4])), ("a", View(other, [4]))));
    }

    [Fact]
    public void Empty_tensors_are_left_out()
    {
        using var memory = Memory(16);
        Assert.Equal(["b"], Filter(("a", View(memory, [0, 4])), ("b", View(memory, [2])), ("c", View(memory, [0], offset: 4))));
        Assert.Empty(Filter(("a", View(memory, [0]))));
        Assert.Empty(Filter());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(8)]
    public void A_tensor_that_another_covers_strictly_is_left_out(long offset)
    {
        using var memory = Memory(16);
        // Whatever their names are.
        Assert.Equal(["z"], Filter(("a", View(memory, [2], offset: offset)), ("z", View(memory, [4]))));
        Assert.Equal(["a"], Filter(("a", View(memory, [4])), ("z", View(memory, [2], offset: offset))));
    }

    [Fact]
    public void Of_equal_ranges_the_contiguous_one_stays_whatever_its_name()
    {
        using var memory = Memory(16);
        Assert.Equal(["z"], Filter(("a", View(memory, [2, 2], [1, 2])), ("z", View(memory, [2, 2]))));
    }

    [Fact]
    public void Of_equal_contiguous_ranges_the_smallest_name_stays_whatever_shape_and_dtype()
    {
        using var memory = Memory(16);
        Assert.Equal(["a"], Filter(("b", View(memory, [4])), ("a", View(memory, [2, 2])), ("c", View(memory, [16], dtype: DType.U8))));
        Assert.Equal(["B"], Filter(("a", View(memory, [4])), ("B", View(memory, [4]))));
        // By code points, as Python compares them, not by the halves of surrogate pairs.
        Assert.Equal(["\uFFFD"], Filter(("\U0001F600", View(memory, [4])), ("\uFFFD", View(memory, [4]))));
        Assert.Equal(["a"], Filter(("aa", View(memory, [4])), ("a", View(memory, [4]))));
    }

    [Fact]
    public void A_tensor_that_does_not_lie_side_by_side_never_covers()
    {
        using var memory = Memory(64);
        // Every other element, with a part of it and one of the same range.
        Assert.Equal(["a", "b", "c"], Filter(("a", View(memory, [4], [2])), ("b", View(memory, [2], offset: 8)), ("c", View(memory, [4], [2]))));
    }

    [Fact]
    public void Partial_overlap_keeps_both()
    {
        using var memory = Memory(16);
        Assert.Equal(["a", "b"], Filter(("a", View(memory, [3])), ("b", View(memory, [3], offset: 4))));
    }

    [Fact]
    public void The_end_of_a_strided_tensor_is_its_last_reachable_element()
    {
        using var memory = Memory(64);
        // Elements 0, 2, 4: they end with the fifth, and four elements do not cover them.
        Assert.Equal(["strided", "whole"], Filter(("strided", View(memory, [3], [2])), ("whole", View(memory, [4]))));
        Assert.Equal(["whole"], Filter(("strided", View(memory, [3], [2])), ("whole", View(memory, [5]))));
        // A transposed one ends where the last of all is.
        Assert.Equal(["whole"], Filter(("turned", View(memory, [3, 2], [1, 3])), ("whole", View(memory, [6]))));
        Assert.Equal(["turned", "whole"], Filter(("turned", View(memory, [3, 2], [1, 3])), ("whole", View(memory, [5]))));
    }

    [Fact]
    public void A_dimension_of_one_has_any_stride_and_is_contiguous_all_the_same()
    {
        using var memory = Memory(16);
        Assert.Equal(["a"], Filter(("a", View(memory, [1, 4], [99, 1])), ("b", View(memory, [2]))));
    }

    [Fact]
    public void Blocks_and_elements_below_a_byte_count_by_their_bytes()
    {
        using var memory = Memory(18 * 8);
        // Two rows of two blocks each: the first blocks of both end with the third block.
        Assert.Equal(["column", "two"], Filter(("column", View(memory, [2, 32], [2, 1], dtype: DType.Q4_0)), ("two", View(memory, [1, 64], dtype: DType.Q4_0))));
        Assert.Equal(["three"], Filter(("column", View(memory, [2, 32], [2, 1], dtype: DType.Q4_0)), ("three", View(memory, [1, 96], dtype: DType.Q4_0))));
        Assert.Equal(["all"], Filter(("half", View(memory, [8], dtype: DType.F4)), ("all", View(memory, [10], dtype: DType.F4))));
        Assert.Equal(["five"], Filter(("rows", View(memory, [2, 2], [8, 1], dtype: DType.F4)), ("five", View(memory, [5], dtype: DType.U8))));
        Assert.Equal(["four", "rows"], Filter(("rows", View(memory, [2, 2], [8, 1], dtype: DType.F4)), ("four", View(memory, [4], dtype: DType.U8))).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_order_given_is_kept_and_a_name_is_there_once()
    {
        using var memory = Memory(64);
        Assert.Equal(["z", "m", "a"], Filter(("z", View(memory, [2])), ("m", View(memory, [2], offset: 16)), ("x", View(memory, [1])), ("a", View(memory, [2], offset: 32))));
        Assert.Contains("'z'", Assert.Throws<ArgumentException>(() => Filter(("z", View(memory, [2])), ("z", View(memory, [1])))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_seeds_own_state_keeps_a_slab_of_tensors_side_by_side()
    {
        using var memory = Memory(4 * 3000);
        var names = Enumerable.Range(0, 3000).Select(i => $"t{i:D4}").ToArray();
        Assert.Equal(names, Filter([.. names.Select((name, i) => (name, View(memory, [1], offset: 4 * i)))]));
    }

    [Fact]
    public void Any_tensors_are_filtered_as_each_pair_of_them_says_byte_by_byte() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            using var first = Memory(96);
            using var second = Memory(96);
            var tensors = Enumerable.Range(0, random.Next(1, 9)).Select(i => (((char)('a' + random.Next(26))).ToString() + i, AnyView(random, random.Next(3) == 0 ? second : first))).ToArray();
            Assert.Equal(Slow(tensors), Filter(tensors));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    // By the sets of bytes that elements have, pair by pair.
    private static List<string> Slow((string Name, Tensor Tensor)[] tensors)
    {
        var kept = new List<string>();
        foreach (var (name, tensor) in tensors)
        {
            var own = BytesOf(tensor);
            if (own.Count == 0)
            {
                continue;
            }

            var isDropped = false;
            foreach (var (other, covering) in tensors)
            {
                var theirs = BytesOf(covering);
                if (other == name || theirs.Count == 0 || !ReferenceEquals(covering.Memory, tensor.Memory) || theirs.Max - theirs.Min + 1 != theirs.Count || !InOrder(covering))
                {
                    continue;
                }

                if (theirs.Contains(own.Min) && theirs.Contains(own.Max))
                {
                    var isEqual = theirs.Min == own.Min && theirs.Max == own.Max;
                    isDropped |= !isEqual || !InOrder(tensor) || string.CompareOrdinal(other, name) < 0;
                }
            }

            if (!isDropped)
            {
                kept.Add(name);
            }
        }

        return kept;
    }

    // Whether walking the indices in row-major order walks the places one by one.
    private static bool InOrder(Tensor tensor) => Places(tensor).Index().All(place => place.Item == place.Index);

    private static SortedSet<long> BytesOf(Tensor tensor)
    {
        var bytes = new SortedSet<long>();
        var (units, size) = tensor.DType.IsBlock ? (1, tensor.DType.BlockSize) : (tensor.DType.BlockLength, tensor.DType.BlockSize);
        foreach (var place in Places(tensor))
        {
            for (long i = 0; i < size; i++)
            {
                _ = bytes.Add(tensor.ByteOffset + (place / units * size) + i);
            }
        }

        return bytes;
    }

    // Where each element, or block, is.
    private static List<long> Places(Tensor tensor)
    {
        var places = new List<long> { 0 };
        for (var i = 0; i < tensor.Shape.Rank; i++)
        {
            var size = i == tensor.Shape.Rank - 1 && tensor.DType.IsBlock ? tensor.Shape[i] / tensor.DType.BlockLength : tensor.Shape[i];
            places = [.. places.SelectMany(_ => Enumerable.Range(0, (int)size), (place, index) => place + (index * tensor.Strides[i]))];
        }

        return places;
    }

    private static Tensor AnyView(Random random, DeviceMemory memory)
    {
        while (true)
        {
            var dtype = (DType[])[DType.F32, DType.U8, DType.F16, DType.Q4_0, DType.F4, DType.F6_E2M3];
            var chosen = dtype[random.Next(dtype.Length)];
            long[] shape = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => (long)random.Next(0, 4))];
            shape[^1] *= chosen.BlockLength;
            long[]? strides = random.Next(2) == 0 ? null : [.. shape.Select((_, i) => i == shape.Length - 1 && chosen.IsSubByte ? 1L : random.Next(1, 5) * (chosen.IsSubByte ? chosen.BlockLength : 1))];
            try
            {
                return View(memory, shape, strides, random.Next(0, 12) * 2, chosen);
            }
            catch (ArgumentException)
            {
                // It does not fit into the memory; another one will.
            }
        }
    }

    private static IEnumerable<string> Filter(params (string Name, Tensor Tensor)[] tensors)
    {
        try
        {
            return SubtensorFilter.Filter(tensors.Select(entry => KeyValuePair.Create(entry.Name, entry.Tensor))).Select(entry => entry.Key);
        }
        finally
        {
            Array.ForEach(tensors, entry => entry.Tensor.Dispose());
        }
    }

    private static DeviceMemory Memory(long bytes) => HostDevice.Shared.Allocate(bytes);

    private static Tensor View(DeviceMemory memory, long[] shape, long[]? strides = null, long offset = 0, DType dtype = DType.F32) =>
        new(memory, dtype, new Shape(shape), strides is null ? default : [.. strides], offset);
}
