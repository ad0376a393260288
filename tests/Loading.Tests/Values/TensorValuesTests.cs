using System.Globalization;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class TensorValuesTests
{
    public static TheoryData<DType> Decodable => new(DType.All.Where(dtype => dtype.IsSafetensors));

    [Theory]
    [MemberData(nameof(Decodable))]
    public async Task Any_range_of_any_dtype_has_the_values_that_are_stored_there(DType dtype)
    {
        var sample = Sample.Make(1, ("a", dtype, [48]));
        await using var checkpoint = await sample.OpenAsync(inner => new ShortReadSource(inner, 7));
        var codec = Codecs.Of(dtype);
        var all = new double[48 * codec.ValuesPerElement];
        codec.DecodeScalar(sample.Tensors["a"], MemoryMarshal.AsBytes(all.AsSpan()), DType.F64);
        for (var first = 0; first <= 48; first += 5)
        {
            var values = await TensorValues.ReadAsync(checkpoint["a"], first, Math.Min(7, 48 - first));
            Assert.Equal(all.Skip(first * codec.ValuesPerElement).Take(7 * codec.ValuesPerElement), values.Select(value => value.Number));
        }
    }

    [Fact]
    public async Task What_the_tensor_does_not_have_is_refused()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.U8, [4])).OpenAsync();
        foreach (var (first, count) in new[] { (-1L, 1), (0, 5), (4, 1), (0, -1), (5, 0) })
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => TensorValues.ReadAsync(checkpoint["a"], first, count));
        }
    }

    [Fact]
    public void Every_bfloat16_reads_back_from_its_text()
    {
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var number = BitConverter.Int32BitsToSingle(bits << 16);
            var text = new StoredValue(DType.BF16, number).ToString();
            if (float.IsNaN(number))
            {
                Assert.Equal("NaN", text);
                continue;
            }

            var read = BitConverter.SingleToInt32Bits(float.Parse(text, CultureInfo.InvariantCulture));
            Assert.Equal(bits, (read + 0x7FFF + ((read >> 16) & 1)) >>> 16 & 0xFFFF);
        }
    }

    [Theory]
    [InlineData(DType.BF16, 0.10009765625, "0.1")]
    [InlineData(DType.F16, 0.0999755859375, "0.1")]
    [InlineData(DType.F32, 0.10000000149011612, "0.1")]
    [InlineData(DType.F64, 0.1, "0.1")]
    [InlineData(DType.BOOL, 1, "true")]
    [InlineData(DType.I8, -3, "-3")]
    [InlineData(DType.U32, 4294967295, "4294967295")]
    [InlineData(DType.BF16, double.NegativeInfinity, "-Infinity")]
    public void Text_is_the_shortest_of_the_type(DType dtype, double number, string text) =>
        Assert.Equal(text, new StoredValue(dtype, number).ToString());
}
