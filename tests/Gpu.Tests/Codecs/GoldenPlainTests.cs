using System.Buffers.Binary;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The tensors of the golden GGUF file whose types are no blocks: what is decoded is what ggml and NumPy say.</summary>
[Trait("Area", "Codecs")]
public sealed class GoldenPlainTests
{
    [Theory]
    [InlineData(DType.F16, "allbits")]
    [InlineData(DType.F16, "quant")]
    [InlineData(DType.BF16, "allbits")]
    [InlineData(DType.BF16, "quant")]
    [InlineData(DType.F32, "4d")]
    [InlineData(DType.F32, "one")]
    public void Floats_decode_to_the_F32_of_ggml(DType dtype, string kind)
    {
        var expected = GoldenBlocks.Expected(dtype.Name, kind).ToArray();
        var stored = GoldenBlocks.Stored(dtype.Name, kind, (int)dtype.ByteCount(expected.Length / 4));
        Assert.Equal(expected, Packed.Bytes(Packed.Decode(Packed.Patterns(stored, dtype.BlockSize), dtype, DType.F32), 4));
    }

    [Theory]
    [InlineData(DType.F64, "1d", "<f8")]
    [InlineData(DType.I8, "2d", "|i1")]
    [InlineData(DType.I16, "2d", "<i2")]
    [InlineData(DType.I32, "2d", "<i4")]
    [InlineData(DType.I64, "2d", "<i8")]
    public void F64_and_integers_are_stored_as_NumPy_stores_them_and_decode_to_those_values(DType dtype, string kind, string descriptor)
    {
        var file = NpyFile.Golden("gguf", $"expected/{dtype.Name}.{kind}.npy");
        Assert.Equal(descriptor, file.Descriptor);
        var stored = GoldenBlocks.Stored(dtype.Name, kind, file.Data.Length);
        Assert.Equal(file.Data.ToArray(), stored);

        var patterns = Packed.Patterns(stored, dtype.BlockSize);
        var values = Enumerable.Range(0, patterns.Length).Select(i => Value(dtype, file.Data.Span[(i * dtype.BlockSize)..])).ToArray();
        Assert.Equal(
            values.Select(BitConverter.DoubleToUInt64Bits),
            Packed.Decode(patterns, dtype, DType.F64));
        Assert.Equal(
            values.Select(value => (ulong)BitConverter.SingleToUInt32Bits((float)value)),
            Packed.Decode(patterns, dtype, DType.F32));
    }

    private static double Value(DType dtype, ReadOnlySpan<byte> bytes) => dtype switch
    {
        DType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        DType.I8 => (sbyte)bytes[0],
        DType.I16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        DType.I32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
    };

}
