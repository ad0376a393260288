using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class ShapeTests
{
    [Fact]
    public void Default_IsTheScalar()
    {
        Shape shape = default;
        Assert.Equal(0, shape.Rank);
        Assert.Equal(1, shape.ElementCount);
        Assert.Empty(shape);
        Assert.True(shape.Dimensions.IsEmpty);
        Assert.Empty(shape.RowMajorStrides());
        Assert.Equal("[]", shape.ToString());
        Assert.Equal(new Shape(), shape);
        Assert.Equal(Shape.Scalar, new Shape([]));
        Assert.Equal(Shape.Scalar.GetHashCode(), new Shape([]).GetHashCode());
    }

    [Fact]
    public void Dimensions_AreKeptInOrder()
    {
        var shape = new Shape(2, 3, 4);
        Assert.Equal(3, shape.Rank);
        Assert.Equal(3, shape.Count);
        Assert.Equal(24, shape.ElementCount);
        Assert.Equal([2, 3, 4], shape);
        Assert.Equal([2L, 3L, 4L], shape.Dimensions.ToArray());
        Assert.Equal(2, shape[0]);
        Assert.Equal(4, shape[2]);
        Assert.Equal("[2, 3, 4]", shape.ToString());
    }

    [Fact]
    public void Constructor_CopiesTheCallersArray()
    {
        long[] dimensions = [2, 3];
        var shape = new Shape(dimensions);
        dimensions[0] = 7;
        Assert.Equal([2, 3], shape);
    }

    [Theory]
    [InlineData(new long[] { 0 })]
    [InlineData(new long[] { 0, 5 })]
    [InlineData(new long[] { 5, 0, 7 })]
    public void ElementCount_WithAZeroDimension_IsZero(long[] dimensions) => Assert.Equal(0, new Shape(dimensions).ElementCount);

    [Fact]
    public void Overflow_IsCountedFromTheLeft_AsTheReferenceDoes()
    {
        Assert.Equal(0, new Shape(0, 1L << 62, 4).ElementCount);
        Assert.Throws<OverflowException>(() => new Shape(1L << 62, 4, 0));
        Assert.Throws<OverflowException>(() => new Shape(1L << 32, 1L << 31));
        Assert.Equal(1L << 62, new Shape(1L << 31, 1L << 31).ElementCount);
        Assert.Equal(long.MaxValue, new Shape(long.MaxValue, 1).ElementCount);
    }

    [Theory]
    [InlineData(new long[] { -1 })]
    [InlineData(new long[] { 2, long.MinValue })]
    [InlineData(new long[] { 0, -1 })]
    public void NegativeDimension_IsRefused(long[] dimensions) =>
        Assert.Throws<ArgumentOutOfRangeException>("dimension", () => new Shape(dimensions));

    [Theory]
    [InlineData(-1)]
    [InlineData(2)]
    public void Index_OutsideTheRank_IsRefused(int index)
    {
        var shape = new Shape(2, 3);
        Assert.Throws<ArgumentOutOfRangeException>(nameof(index), () => shape[index]);
        Assert.Throws<ArgumentOutOfRangeException>(nameof(index), () => shape.With(index, 1));
    }

    [Fact]
    public void Index_OfAScalar_IsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("index", () => default(Shape)[0]);
        Assert.Throws<ArgumentOutOfRangeException>("index", () => default(Shape).With(0, 1));
    }

    [Fact]
    public void Equality_IsOfTheDimensions()
    {
        var shape = new Shape(2, 3);
        Assert.True(shape == new Shape(2, 3));
        Assert.False(shape != new Shape(2, 3));
        Assert.True(shape.Equals((object)new Shape(2, 3)));
        Assert.Equal(shape.GetHashCode(), new Shape(2, 3).GetHashCode());
        foreach (var other in (Shape[])[new(3, 2), new(2, 3, 1), new(6), new(2), default])
        {
            Assert.True(shape != other);
            Assert.False(shape.Equals((object)other));
        }

        Assert.False(shape.Equals("[2, 3]"));
        Assert.False(new Shape(1) == Shape.Scalar);
    }

    [Fact]
    public void Hash_TellsCommonShapesApart()
    {
        var shapes = from a in Enumerable.Range(0, 32) from b in Enumerable.Range(0, 32) select new Shape(a, b);
        // 32-bit hashes of 1,024 shapes collide about once in ten thousand runs; two dozen would be a broken hash.
        Assert.InRange(shapes.Select(shape => shape.GetHashCode()).Distinct().Count(), 1000, 1024);
    }

    [Fact]
    public void Strides_AreRowMajor()
    {
        Assert.Equal([12, 4, 1], Strides(2, 3, 4));
        Assert.Equal([1], Strides(9));
        Assert.Equal([1, 1, 1], Strides(1, 1, 1));
    }

    [Fact]
    public void Strides_OfAZeroDimension_CountItAsOne() => Assert.Equal([4, 4, 1], Strides(2, 0, 4));

    [Fact]
    public void Strides_ThatWouldOverflowWithoutElements_StayPositiveAndSorted()
    {
        var strides = Strides(0, 1L << 62, 4, 3);
        Assert.Equal(4, strides.Length);
        Assert.Equal([3, 1], strides[2..]);
        Assert.True(strides[0] >= strides[1] && strides[1] >= strides[2], string.Join(' ', strides));
    }

    [Fact]
    public void With_ReplacesOneDimension_AndLeavesTheOriginal()
    {
        var shape = new Shape(2, 3, 4);
        Assert.Equal(new Shape(2, 9, 4), shape.With(1, 9));
        Assert.Equal(72, shape.With(1, 9).ElementCount);
        Assert.Equal(new Shape(2, 3, 4), shape);
        Assert.Throws<ArgumentOutOfRangeException>(() => shape.With(1, -1));
        Assert.Throws<OverflowException>(() => shape.With(1, long.MaxValue));
    }

    [Fact]
    public void Enumerators_BothGiveTheDimensions()
    {
        var shape = new Shape(5, 6);
        Assert.Equal([5L, 6L], ((System.Collections.IEnumerable)shape).Cast<long>());
        Assert.Equal([5L, 6L], shape.Select(dimension => dimension));
    }

    private static long[] Strides(params long[] dimensions) => [.. new Shape(dimensions).RowMajorStrides()];
}
