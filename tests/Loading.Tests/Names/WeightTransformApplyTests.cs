using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightTransformApplyTests
{
    // Types whose rows are moved as they are, blocks and bytes that hold two elements among them.
    private static readonly DType[] Types = [DType.F32, DType.F16, DType.BF16, DType.F64, DType.F4, DType.Q8_0, DType.Q4_K];

    [Fact]
    public void Unpermute_takes_the_rows_of_each_head_apart()
    {
        // Two heads of six rows. A converter has put rows 0, 3, 1, 4, 2, 5 of the checkpoint side by side.
        float[] stored = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
        using var source = Tensor.FromValues<float>(DType.F32, new Shape(12, 1), stored);
        using var result = WeightTransform.Unpermute(2).Apply(source);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], result.AsSpan<float>().ToArray());
        using var back = WeightTransform.Unpermute(2).Inverse!.Apply(result);
        Assert.Equal(stored, back.AsSpan<float>().ToArray());
    }

    [Fact]
    public void Unpermute_moves_raw_rows_of_every_type()
    {
        foreach (var dtype in Types)
        {
            var columns = 2L * dtype.BlockLength;
            var (heads, half) = (3, 4);
            var device = new HostDevice();
            using (var source = Random(dtype, new Shape(heads * 2 * half, columns), device))
            using (var result = WeightTransform.Unpermute(heads).Apply(source))
            {
                Assert.Equal((dtype, source.Shape, true), (result.DType, result.Shape, result.IsContiguous));
                var rowBytes = (int)dtype.ByteCount(columns);
                for (var head = 0; head < heads; head++)
                {
                    for (var i = 0; i < half; i++)
                    {
                        for (var part = 0; part < 2; part++)
                        {
                            var expected = Row(source, (head * 2 * half) + (2 * i) + part, rowBytes);
                            Assert.Equal(expected, Row(result, (head * 2 * half) + (part * half) + i, rowBytes));
                        }
                    }
                }
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public void Permute_and_unpermute_undo_each_other()
    {
        var cases =
            from dtype in Gen.Elements(Types)
            from heads in Gen.Choose(1, 5)
            from half in Gen.Choose(1, 5)
            from groups in Gen.Choose(0, 3)
            from seed in Gen.Choose(0, 1000)
            select (dtype, heads, half, groups, seed);
        Prop.ForAll(cases.ToArbitrary(), one =>
        {
            var device = new HostDevice();
            var shape = new Shape(one.heads * 2 * one.half, (long)one.groups * one.dtype.BlockLength);
            using (var source = Random(one.dtype, shape, device, one.seed))
            {
                var transform = WeightTransform.Unpermute(one.heads);
                using var there = transform.Apply(source);
                using var back = transform.Inverse!.Apply(there);
                Assert.Equal(source.AsSpan<byte>().ToArray(), back.AsSpan<byte>().ToArray());
            }

            Assert.Equal(0, device.LiveAllocations);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Unpermute_reorders_a_bias_and_a_tensor_of_three_dimensions()
    {
        using var bias = Tensor.FromValues<int>(DType.I32, new Shape(8), [0, 2, 1, 3, 4, 6, 5, 7]);
        using var result = WeightTransform.Unpermute(2).Apply(bias);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], result.AsSpan<int>().ToArray());
        using var deep = Tensor.FromValues<byte>(DType.U8, new Shape(4, 2, 1), [0, 1, 4, 5, 2, 3, 6, 7]);
        using var reordered = WeightTransform.Unpermute(1).Apply(deep);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], reordered.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void Unpermute_takes_a_view_with_strides()
    {
        // The second and third column of four.
        using var whole = Tensor.FromValues<int>(DType.I32, new Shape(4, 4), [.. Enumerable.Range(0, 16)]);
        using var source = whole.Narrow(1, 1, 2);
        using var result = WeightTransform.Unpermute(1).Apply(source);
        Assert.Equal([1, 2, 9, 10, 5, 6, 13, 14], result.AsSpan<int>().ToArray());
    }

    [Fact]
    public void Unpermute_converts_on_the_way()
    {
        using var source = Tensor.FromValues<Half>(DType.F16, new Shape(4, 1), [(Half)1.5, (Half)2, (Half)(-3), (Half)0.25]);
        using var result = WeightTransform.Unpermute(1).Apply(source, DType.F32);
        Assert.Equal([1.5f, -3f, 2f, 0.25f], result.AsSpan<float>().ToArray());
    }

    [Fact]
    public void Transpose_is_a_view_of_the_same_memory()
    {
        var device = new HostDevice();
        var source = Tensor.FromValues<int>(DType.I32, new Shape(2, 3), [1, 2, 3, 4, 5, 6], device);
        var result = WeightTransform.Transpose.Apply(source);
        Assert.Same(source.Memory, result.Memory);
        source.Dispose();
        Assert.Equal(1, device.LiveAllocations);
        using (var packed = result.To(DType.I32))
        {
            Assert.Equal(new Shape(3, 2), packed.Shape);
            Assert.Equal([1, 4, 2, 5, 3, 6], packed.AsSpan<int>().ToArray());
        }

        result.Dispose();
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Transpose_decodes_elements_that_share_bytes()
    {
        // E2M1: 1 is 0010, 2 is 0100, 4 is 0110, -1 is 1010; the first of two is in the lower half of a byte.
        var device = new HostDevice();
        using (var source = Tensor.FromValues<byte>(DType.F4, new Shape(2, 2), [0x42, 0xA6], device))
        {
            using var result = WeightTransform.Transpose.Apply(source, DType.F32);
            using var packed = result.To(DType.F32);
            Assert.Equal([1f, 4f, 2f, -1f], packed.AsSpan<float>().ToArray());
            Assert.NotSame(source.Memory, result.Memory);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Unpermute_decodes_rows_that_share_bytes()
    {
        using var source = Tensor.FromValues<byte>(DType.F4, new Shape(4), [0x42, 0xA6]);
        using var result = WeightTransform.Unpermute(1).Apply(source, DType.F32);
        Assert.Equal([1f, 4f, 2f, -1f], result.AsSpan<float>().ToArray());
        using var destination = Tensor.Empty(DType.F32, new Shape(4));
        WeightTransform.Unpermute(1).Write(source, destination);
        Assert.Equal([1f, 4f, 2f, -1f], destination.AsSpan<float>().ToArray());
    }

    [Fact]
    public void Rows_and_experts_of_blocks_are_views()
    {
        var device = new HostDevice();
        using (var source = Random(DType.Q8_0, new Shape(6, 2, 64), device))
        {
            using var rows = WeightTransform.Rows(2, 3).Apply(source);
            Assert.Equal((new Shape(3, 2, 64), 2L * 2 * 68), (rows.Shape, rows.ByteOffset));
            using var expert = WeightTransform.Expert(4, 6).Apply(source);
            Assert.Equal((new Shape(2, 64), 4L * 2 * 68), (expert.Shape, expert.ByteOffset));
            Assert.Equal(source.AsSpan<byte>().Slice(4 * 2 * 68, 2 * 68).ToArray(), expert.AsSpan<byte>().ToArray());
            using var same = WeightTransform.None.Apply(source);
            Assert.Equal((source.Shape, 1), (same.Shape, device.LiveAllocations));
            Assert.NotSame(source, same);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Rows_and_scalars_are_converted_where_a_type_is_asked_for()
    {
        using var source = Tensor.FromValues<float>(DType.F32, new Shape(3, 2), [1, 2, 3, 4, 5, 6]);
        using var rows = WeightTransform.Rows(1, 2).Apply(source, DType.F16);
        Assert.Equal([(Half)3, (Half)4, (Half)5, (Half)6], rows.AsSpan<Half>().ToArray());
        using var scalar = Tensor.FromValues<float>(DType.F32, Shape.Scalar, [7]);
        using var same = WeightTransform.None.Apply(scalar);
        Assert.Equal((Shape.Scalar, 7f), (same.Shape, same.AsSpan<float>()[0]));
    }

    [Fact]
    public void Minus_one_of_every_half_is_rounded_once()
    {
        Half[] values = [.. Enumerable.Range(0, 65536).Select(bits => BitConverter.UInt16BitsToHalf((ushort)bits)).Where(Half.IsFinite)];
        var device = new HostDevice();
        using (var source = Tensor.FromValues<Half>(DType.F16, new Shape(values.Length), values, device))
        {
            using var result = WeightTransform.MinusOne.Apply(source);
            // A double holds the difference exactly.
            Assert.Equal(values.Select(value => (Half)((double)value - 1)), result.AsSpan<Half>().ToArray());
            using var single = WeightTransform.MinusOne.Apply(source, DType.F32);
            Assert.Equal(values.Select(value => (float)((double)value - 1)), single.AsSpan<float>().ToArray());
            using var plus = WeightTransform.MinusOne.Inverse!.Apply(source, DType.F32);
            Assert.Equal(values.Select(value => (float)((double)value + 1)), plus.AsSpan<float>().ToArray());
            Assert.Equal(values, source.AsSpan<Half>().ToArray());
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Minus_one_gives_back_what_a_converter_has_stored()
    {
        // Norms of a BF16 checkpoint are stored in float32 with one added, which is exact for these.
        ushort[] bits = [0x0000, 0x3F80, 0xBF00, 0x3E99, 0xBD4C, 0x4120];
        float[] weights = [.. bits.Select(value => BitConverter.UInt32BitsToSingle((uint)value << 16))];
        using var source = Tensor.FromValues<float>(DType.F32, new Shape(weights.Length), [.. weights.Select(weight => weight + 1)]);
        using var result = WeightTransform.MinusOne.Apply(source, DType.BF16);
        Assert.Equal(bits, result.AsSpan<ushort>().ToArray());
    }

    [Fact]
    public void What_needs_values_asks_for_a_type_that_holds_them()
    {
        var device = new HostDevice();
        using (var source = Random(DType.Q8_0, new Shape(32, 32), device))
        {
            var exception = Assert.Throws<ArgumentException>(() => WeightTransform.Transpose.Apply(source));
            Assert.Contains("transpose", exception.Message, StringComparison.Ordinal);
            Assert.Contains("Q8_0", exception.Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentException>(() => WeightTransform.MinusOne.Apply(source));
            Assert.Throws<ArgumentException>(() => WeightTransform.MinusOne.Apply(source, DType.I32));
            Assert.Equal(1, device.LiveAllocations);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void What_fails_leaves_nothing_behind()
    {
        var device = new HostDevice();
        var source = Tensor.FromValues<float>(DType.F32, new Shape(4, 2), [1, 2, 3, 4, 5, 6, 7, 8], device);
        WeightTransform[] all =
        [
            WeightTransform.None, WeightTransform.Unpermute(1), WeightTransform.Unpermute(1).Inverse!, WeightTransform.MinusOne,
            WeightTransform.Transpose, WeightTransform.Rows(1, 2), WeightTransform.Expert(1, 4),
        ];
        foreach (var transform in all)
        {
            // There is no conversion to integers.
            Assert.Throws<ArgumentException>(() => transform.Apply(source, DType.I32));
            using var destination = Tensor.Empty(DType.I32, transform.ShapeOf(source.Shape), device);
            Assert.Throws<ArgumentException>(() => transform.Write(source, destination));
        }

        Assert.Equal(1, device.LiveAllocations);
        source.Dispose();
        Assert.Equal(0, device.LiveAllocations);
        Assert.All(all, transform => Assert.Throws<ObjectDisposedException>(() => transform.Apply(source)));
    }

    [Fact]
    public void Write_fills_a_place_in_a_packed_weight_and_touches_nothing_else()
    {
        // Query and key of one GGUF tensor each, into the rows of one weight of another type.
        using var query = Tensor.FromValues<Half>(DType.F16, new Shape(4, 2), [(Half)0, (Half)1, (Half)4, (Half)5, (Half)2, (Half)3, (Half)6, (Half)7]);
        using var key = Tensor.FromValues<Half>(DType.F16, new Shape(2, 2), [(Half)8, (Half)9, (Half)10, (Half)11]);
        using var packed = Tensor.FromValues<float>(DType.F32, new Shape(7, 2), [.. Enumerable.Repeat(-1f, 14)]);
        using var queryRows = packed.Narrow(0, 0, 4);
        using var keyRows = packed.Narrow(0, 4, 2);
        WeightTransform.Unpermute(1).Write(query, queryRows);
        WeightTransform.Unpermute(1).Write(key, keyRows);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1], packed.AsSpan<float>().ToArray());
    }

    [Fact]
    public void Write_does_what_apply_does()
    {
        using var source = Random(DType.F32, new Shape(4, 6), new HostDevice());
        source.AsSpan<float>().Fill(1.25f);
        source.AsSpan<float>()[5] = -2;
        WeightTransform[] all =
        [
            WeightTransform.None, WeightTransform.Unpermute(2), WeightTransform.MinusOne, WeightTransform.Transpose,
            WeightTransform.Rows(0, 2), WeightTransform.Expert(0, 4),
        ];
        foreach (var transform in all)
        {
            using var applied = transform.Apply(source, DType.BF16);
            using var destination = Tensor.Empty(DType.BF16, applied.Shape);
            transform.Write(source, destination);
            using var packed = applied.To(DType.BF16);
            Assert.Equal(packed.AsSpan<ushort>().ToArray(), destination.AsSpan<ushort>().ToArray());
        }
    }

    [Fact]
    public void Write_refuses_a_destination_of_another_shape()
    {
        using var source = Random(DType.F32, new Shape(4, 6), new HostDevice());
        using var destination = Tensor.Empty(DType.F32, new Shape(4, 6));
        var exception = Assert.Throws<ArgumentException>(() => WeightTransform.Transpose.Write(source, destination));
        Assert.Contains("[6, 4]", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tensors_without_storage_get_their_shapes()
    {
        var device = new MetaDevice();
        using (var source = Tensor.Empty(DType.F32, new Shape(4, 6), device))
        {
            using var moved = WeightTransform.Unpermute(2).Apply(source, DType.F16);
            using var less = WeightTransform.MinusOne.Apply(source, DType.F16);
            using var turned = WeightTransform.Transpose.Apply(source, DType.F16);
            Assert.Equal((DType.F16, new Shape(4, 6)), (moved.DType, moved.Shape));
            Assert.Equal((DType.F16, new Shape(4, 6)), (less.DType, less.Shape));
            Assert.Equal((DType.F16, new Shape(6, 4)), (turned.DType, turned.Shape));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    private static Tensor Random(DType dtype, Shape shape, HostDevice device, int seed = 1)
    {
        var bytes = new byte[dtype.ByteCount(shape.ElementCount)];
        new Random(seed).NextBytes(bytes);
        return Tensor.FromValues<byte>(dtype, shape, bytes, device);
    }

    private static byte[] Row(Tensor tensor, int row, int rowBytes) => tensor.AsSpan<byte>().Slice(row * rowBytes, rowBytes).ToArray();
}
