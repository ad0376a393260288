using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightTransformTests
{
    [Fact]
    public void Shapes_follow_the_transform_and_go_back()
    {
        (WeightTransform Transform, long[] Gguf, long[] Checkpoint)[] cases =
        [
            (WeightTransform.None, [5, 7], [5, 7]),
            (WeightTransform.None, [], []),
            (WeightTransform.MinusOne, [5], [5]),
            (WeightTransform.Unpermute(3), [12, 7], [12, 7]),
            (WeightTransform.Unpermute(3), [6], [6]),
            (WeightTransform.Unpermute(1L << 62), [0, 32], [0, 32]),
            (WeightTransform.Transpose, [5, 7], [7, 5]),
            (WeightTransform.Expert(2, 3), [3, 5, 7], [5, 7]),
            (WeightTransform.Expert(0, 1), [1, 5], [5]),
        ];
        foreach (var (transform, gguf, checkpoint) in cases)
        {
            Assert.Equal(new Shape(checkpoint), transform.ShapeOf(new Shape(gguf)));
            Assert.Equal(new Shape(gguf), transform.SourceShapeOf(new Shape(checkpoint)));
        }

        Assert.Equal(new Shape(4, 7), WeightTransform.Rows(8, 4).ShapeOf(new Shape(12, 7)));
        Assert.Null(WeightTransform.Rows(8, 4).SourceShapeOf(new Shape(4, 7)));
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        (WeightTransform Transform, long[] Gguf)[] cases =
        [
            (WeightTransform.Unpermute(3), [13, 7]),
            (WeightTransform.Unpermute(3), [9, 7]),
            (WeightTransform.Unpermute(1L << 62), [6, 7]),
            (WeightTransform.Unpermute(1), []),
            (WeightTransform.Transpose, [5]),
            (WeightTransform.Transpose, [5, 6, 7]),
            (WeightTransform.Rows(8, 4), [11, 7]),
            (WeightTransform.Rows(0, 1), []),
            (WeightTransform.Expert(2, 3), [4, 5]),
            (WeightTransform.Expert(0, 3), [3]),
        ];
        foreach (var (transform, gguf) in cases)
        {
            var exception = Assert.Throws<ArgumentException>(() => transform.ShapeOf(new Shape(gguf)));
            Assert.Contains(transform.ToString(), exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_inverse_of_the_inverse_is_the_transform_and_parts_have_none()
    {
        WeightTransform[] whole = [WeightTransform.None, WeightTransform.MinusOne, WeightTransform.Transpose, WeightTransform.Unpermute(4)];
        Assert.All(whole, transform => Assert.Equal(transform, transform.Inverse!.Inverse));
        Assert.Equal(["none", "plus one", "transpose", "permute(4)"], whole.Select(transform => transform.Inverse!.ToString()));
        Assert.All([WeightTransform.Rows(0, 1), WeightTransform.Expert(0, 2)], part => Assert.True(part.IsPart && part.Inverse is null));
    }

    [Fact]
    public void Numbers_that_are_impossible_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Unpermute(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Rows(-1, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Rows(0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Rows(2, long.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Expert(3, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightTransform.Expert(-1, 3));
    }
}
