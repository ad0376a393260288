using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class TensorViewTests
{
    [Fact]
    public void Narrow_keeps_a_part_of_one_dimension()
    {
        using var tensor = Counting(3, 4);
        using var rows = tensor.Narrow(0, 1, 2);
        using var columns = tensor.Narrow(-1, 2, 2);
        Assert.Equal([4, 5, 6, 7, 8, 9, 10, 11], rows.AsSpan<int>().ToArray());
        Assert.Equal([2, 3, 6, 7, 10, 11], Elements(columns));
        Assert.False(columns.IsContiguous);
        Assert.Same(tensor.Memory, columns.Memory);
    }

    [Theory]
    [InlineData(0, -1, 1)]
    [InlineData(0, 0, 4)]
    [InlineData(0, 3, 1)]
    [InlineData(0, 0, -1)]
    [InlineData(0, long.MaxValue, 1)]
    [InlineData(0, 1, long.MaxValue)]
    [InlineData(2, 0, 1)]
    [InlineData(-3, 0, 1)]
    public void Narrow_OutOfRange_Throws(int dimension, long start, long length)
    {
        using var tensor = Counting(3, 4);
        Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Narrow(dimension, start, length));
    }

    [Fact]
    public void Select_keeps_one_index_and_drops_the_dimension()
    {
        using var tensor = Counting(2, 3, 2);
        using var middle = tensor.Select(1, 2);
        using var last = middle.Select(-1, 1);
        using var scalar = last.Select(0, 1);
        Assert.Equal(new Shape(2, 2), middle.Shape);
        Assert.Equal([4, 5, 10, 11], Elements(middle));
        Assert.Equal([5, 11], Elements(last));
        Assert.Equal((0, 1L), (scalar.Shape.Rank, scalar.ElementCount));
        Assert.Equal([11], scalar.AsSpan<int>().ToArray());
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(0, -1)]
    [InlineData(3, 0)]
    public void Select_OutOfRange_Throws(int dimension, long index)
    {
        using var tensor = Counting(2, 3, 2);
        Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Select(dimension, index));
    }

    [Fact]
    public void A_scalar_has_no_dimensions_to_narrow()
    {
        using var scalar = Tensor.FromValues<float>(DType.F32, Shape.Scalar, [1]);
        Assert.True(scalar.IsContiguous);
        Assert.Throws<ArgumentOutOfRangeException>(() => scalar.Narrow(0, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => scalar.Select(-1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => scalar.Transpose(0, 0));
        using var row = scalar.View(1, 1);
        Assert.Equal([1f], row.AsSpan<float>().ToArray());
        using var back = row.View([]);
        Assert.Equal(0, back.Shape.Rank);
    }

    [Fact]
    public void View_gives_another_shape_and_finds_the_open_dimension()
    {
        using var tensor = Counting(3, 4);
        using var flat = tensor.View(-1);
        using var deep = tensor.View(2, -1, 3);
        Assert.Equal(new Shape(12), flat.Shape);
        Assert.Equal(new Shape(2, 2, 3), deep.Shape);
        Assert.Equal(tensor.AsSpan<int>().ToArray(), deep.AsSpan<int>().ToArray());
    }

    [Fact]
    public void View_that_does_not_fit_is_refused()
    {
        using var tensor = Counting(3, 4);
        using var empty = Tensor.Empty(DType.I32, new Shape(0, 3));
        Assert.Throws<ArgumentException>(() => tensor.View(5));
        Assert.Throws<ArgumentException>(() => tensor.View(5, -1));
        Assert.ThrowsAny<ArgumentException>(() => tensor.View(-1, -1));
        Assert.ThrowsAny<ArgumentException>(() => tensor.View(-2, -6));
        Assert.Throws<ArgumentException>(() => tensor.View(0, -1));
        Assert.Throws<ArgumentException>(() => empty.View(0, -1));
        using var resolved = empty.View(7, -1);
        Assert.Equal(new Shape(7, 0), resolved.Shape);
    }

    [Fact]
    public void View_of_strided_elements_works_where_runs_are_cut_and_not_across_them()
    {
        using var tensor = Counting(4, 6);
        using var part = tensor.Narrow(1, 0, 4);
        using var split = part.View(2, 2, 2, 2);
        Assert.Equal([0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21], Elements(split));
        Assert.Throws<ArgumentException>(() => part.View(16));
        Assert.Throws<ArgumentException>(() => part.View(2, 8));
        using var turned = tensor.Transpose(0, 1);
        Assert.Throws<ArgumentException>(() => turned.View(24));
        using var turnedSplit = turned.View(3, 2, 4);
        Assert.Equal([0, 6, 12, 18, 1, 7, 13, 19], Elements(turnedSplit)[..8]);
    }

    // Whatever view is given, it must list the same elements in the same order.
    [Fact]
    public void Any_view_lists_the_same_elements_in_order()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            using var tensor = Counting(4, 1, 6, 2);
            using var turned = tensor.Transpose(random.Next(4), random.Next(4));
            var dimension = random.Next(4);
            using var part = turned.Narrow(dimension, 0, Math.Max(1, turned.Shape[dimension] / 2));
            var shape = Factor(random, part.ElementCount);
            try
            {
                using var view = part.View(shape);
                Assert.Equal(Elements(part), Elements(view));
            }
            catch (ArgumentException)
            {
                // A copy would be needed, which is never so where the elements are contiguous or the shape stays.
                Assert.False(part.IsContiguous);
                Assert.NotEqual(part.Shape, new Shape(shape));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    [Fact]
    public void Transpose_exchanges_two_dimensions()
    {
        using var tensor = Counting(2, 3);
        using var turned = tensor.Transpose(0, -1);
        using var back = turned.Transpose(1, 0);
        Assert.Equal(new Shape(3, 2), turned.Shape);
        Assert.Equal([0, 3, 1, 4, 2, 5], Elements(turned));
        Assert.True(back.IsContiguous);
        Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Transpose(0, 2));
    }

    [Fact]
    public void Contiguous_means_side_by_side_in_order()
    {
        using var tensor = Counting(4, 1, 3);
        Assert.True(tensor.IsContiguous);
        using var turned = tensor.Transpose(0, 2);
        Assert.False(turned.IsContiguous);
        using var same = tensor.Transpose(1, 2);
        Assert.True(same.IsContiguous);
        using var rows = tensor.Narrow(0, 1, 2);
        Assert.True(rows.IsContiguous);
        using var oneColumn = tensor.Narrow(2, 0, 1);
        Assert.False(oneColumn.IsContiguous);
        using var oneOfEach = oneColumn.Narrow(0, 3, 1);
        Assert.True(oneOfEach.IsContiguous);
    }

    [Fact]
    public void Without_elements_every_tensor_is_contiguous()
    {
        using var tensor = Counting(3, 4);
        using var none = tensor.Narrow(0, 3, 0);
        using var turned = none.Transpose(0, 1);
        using var nowhere = turned.Narrow(0, 4, 0);
        Assert.All([none, turned, nowhere], empty =>
        {
            Assert.True(empty.IsContiguous);
            Assert.Equal((0L, 0L), (empty.ElementCount, empty.ByteLength));
            Assert.True(empty.AsSpan<int>().IsEmpty);
            using var copy = empty.To(DType.I32);
            Assert.Equal(empty.Shape, copy.Shape);
        });
        using var huge = Tensor.Empty(DType.F32, new Shape(0, 1L << 40, 1L << 40, 1L << 40, 4));
        Assert.True(huge.IsContiguous);
        using var asF16 = huge.To(DType.F16);
        Assert.Equal(0, asF16.ByteLength);
    }

    [Fact]
    public void A_tensor_beyond_its_memory_is_refused()
    {
        var device = new HostDevice();
        using (var memory = device.Allocate(47))
        {
            new Tensor(memory, DType.F32, new Shape(11), default, 3).Dispose();
            Assert.Throws<ArgumentException>(() => new Tensor(memory, DType.F32, new Shape(11), default, 4));
            Assert.Throws<ArgumentException>(() => new Tensor(memory, DType.F32, new Shape(12)));
            Assert.Throws<OverflowException>(() => new Tensor(memory, DType.F32, new Shape(1), default, long.MaxValue));
            Assert.Throws<ArgumentOutOfRangeException>(() => new Tensor(memory, DType.F32, new Shape(1), default, -4));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Strides_that_reach_too_far_or_back_are_refused()
    {
        using var memory = new HostDevice().Allocate(40);
        using (var last = new Tensor(memory, DType.F32, new Shape(2, 2), [8, 1]))
        {
            Assert.False(last.IsContiguous);
        }

        Assert.Throws<ArgumentException>(() => new Tensor(memory, DType.F32, new Shape(2, 2), [9, 1]));
        Assert.Throws<ArgumentException>(() => new Tensor(memory, DType.F32, new Shape(2, 2), [1]));
        Assert.Throws<ArgumentException>(() => new Tensor(memory, DType.F32, new Shape(2, 2), [-1, 1]));
        Assert.Throws<OverflowException>(() => new Tensor(memory, DType.F32, new Shape(5, 2), [long.MaxValue / 2, 1]));
    }

    private static Tensor Counting(params long[] dimensions)
    {
        var shape = new Shape(dimensions);
        return Tensor.FromValues<int>(DType.I32, shape, Enumerable.Range(0, (int)shape.ElementCount).ToArray(), new HostDevice());
    }

    // By the definition: one sum of index times stride an element.
    private static int[] Elements(Tensor tensor)
    {
        var view = new StridedCase(tensor.DType, [.. tensor.Shape], [.. tensor.Strides], tensor.ByteOffset);
        return [.. view.Offsets().Select(offset => MemoryMarshal.Read<int>(((HostMemory)tensor.Memory).AsSpan(offset, 4)))];
    }

    private static long[] Factor(Random random, long count)
    {
        var sizes = new List<long>();
        while (count > 1)
        {
            var divisors = Enumerable.Range(2, (int)count - 1).Where(divisor => count % divisor == 0).ToArray();
            var size = divisors[random.Next(divisors.Length)];
            sizes.Add(size);
            count /= size;
            if (random.Next(4) == 0)
            {
                sizes.Add(1);
            }
        }

        return [.. sizes];
    }
}
