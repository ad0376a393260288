using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class ShapePartTests
{
    [Fact]
    public void Parts_hold_every_element_once_in_order_and_never_too_many()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems([DType.F32, DType.Q4_0, DType.F4, DType.F6_E3M2], 1)[0];
            long[] sizes = [.. Enumerable.Range(0, 1 + random.Next(4)).Select(_ => (long)random.Next(1, 5))];
            var whole = StridedCase.Random(random, dtype, sizes, mayRepeat: true);
            var most = dtype.BlockLength * random.NextInt64(1, 12);
            using var memory = HostDevice.Shared.Allocate(whole.MemoryBytes);
            using var tensor = whole.Over(memory);
            var parts = ShapePart.Cut(whole.Shape, dtype.BlockLength, most).ToArray();
            Assert.All(parts, part => Assert.InRange(part.Shape.ElementCount, 1, most));
            Assert.Equal(parts.Select(part => part.FirstElement), Sums(parts.Select(part => part.Shape.ElementCount)));
            var offsets = parts.SelectMany(part => Case(part.Of(tensor.AsStridedView())).Offsets());
            Assert.Equal(whole.Offsets(), offsets);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    [Fact]
    public void Shapes_beyond_32_bits_are_cut()
    {
        var shape = new Shape(3, 1L << 33);
        var parts = ShapePart.Cut(shape, 1, 1L << 32).ToArray();
        Assert.Equal([0, 1L << 32, 1L << 33, 3L << 32, 4L << 32, 5L << 32], parts.Select(part => part.FirstElement));
        Assert.All(parts, part => Assert.Equal(new Shape(1, 1L << 32), part.Shape));
        using var memory = MetaDevice.Shared.Allocate(shape.ElementCount * 2);
        var view = new StridedView(memory, DType.F16, shape, [1, 3], 10);
        Assert.Equal(10 + (2 * (2 + (3L << 32))), parts[^1].Of(view).ByteOffset);
    }

    [Fact]
    public void Nothing_has_no_parts_and_a_scalar_one()
    {
        Assert.Empty(ShapePart.Cut(new Shape(2, 0), 1, 4));
        var scalar = Assert.Single(ShapePart.Cut(Shape.Scalar, 1, 4));
        Assert.Equal((Shape.Scalar, 0), (scalar.Shape, scalar.FirstElement));
    }

    private static IEnumerable<long> Sums(IEnumerable<long> counts)
    {
        long sum = 0;
        foreach (var count in counts)
        {
            yield return sum;
            sum += count;
        }
    }

    private static StridedCase Case(StridedView view)
    {
        var sizes = view.Shape.Dimensions.ToArray();
        sizes[^1] /= view.DType.BlockLength;
        var strides = view.Strides.Select(
            (stride, i) => view.DType.IsSubByte && i < sizes.Length - 1 ? stride / view.DType.BlockLength : stride).ToImmutableArray();
        return new StridedCase(view.DType, sizes, [.. strides], view.ByteOffset);
    }
}
