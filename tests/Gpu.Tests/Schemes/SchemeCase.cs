using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Matrices with scales, and what they stand for.</summary>
internal static class SchemeCase
{
    /// <summary>Finite stored numbers of a type.</summary>
    public static byte[] Numbers(Random random, DType dtype, long count)
    {
        var bytes = new byte[dtype.ByteCount(count)];
        random.NextBytes(bytes);
        for (var i = 0; i < count; i++)
        {
            // The highest exponents hold what is no number; the middle of wide types keeps products finite.
            switch (dtype)
            {
                case DType.F32:
                    bytes[(i * 4) + 3] = (byte)((bytes[(i * 4) + 3] & 0x81) | 0x3E);
                    break;
                case DType.BF16:
                    bytes[(i * 2) + 1] = (byte)((bytes[(i * 2) + 1] & 0x81) | 0x3E);
                    break;
                case DType.F16:
                    bytes[(i * 2) + 1] = (byte)((bytes[(i * 2) + 1] & 0x83) | 0x20);
                    break;
                case DType.F8_E5M2 when (bytes[i] & 0x7C) == 0x7C:
                case DType.F8_E4M3 when (bytes[i] & 0x7F) == 0x7F:
                case DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ when bytes[i] == 0x80:
                    bytes[i] = 0x31;
                    break;
                default:
                    break;
            }
        }

        return bytes;
    }

    /// <summary>The values of scaled blocks.</summary>
    public static byte[] Blocks(
        byte[] payload, DType stored, byte[] scales, DType scaleType, byte[]? zeros, int rows, int columns, long blockRows, long blockColumns, DType target)
    {
        var grid = ((columns - 1) / blockColumns) + 1;
        return
        [
            .. from row in Enumerable.Range(0, rows)
               from column in Enumerable.Range(0, columns)
               let block = (row / blockRows * grid) + (column / blockColumns)
               let value = SchemeOracle.Stored(payload, ((long)row * columns) + column, stored) - (zeros is null ? 0 : (sbyte)zeros[block])
               from one in SchemeOracle.Rounded(value * SchemeOracle.Stored(scales, block, scaleType), target)
               select one,
        ];
    }

    /// <summary>The values of GPTQ's words.</summary>
    public static byte[] Gptq(
        int bits, int offset, uint[] words, uint[] zeros, byte[] scales, DType scaleType, int outputs, int inputs, Func<int, int> groupOf, DType target)
    {
        var perWord = 32 / bits;
        var zeroWords = (outputs + perWord - 1) / perWord;
        return
        [
            .. from output in Enumerable.Range(0, outputs)
               from input in Enumerable.Range(0, inputs)
               let number = Number(words[(input / perWord * outputs) + output], input % perWord)
               let zero = Number(zeros[(groupOf(input) * zeroWords) + (output / perWord)], output % perWord) + offset
               from one in SchemeOracle.Rounded((number - zero) * SchemeOracle.Stored(scales, (groupOf(input) * outputs) + output, scaleType), target)
               select one,
        ];

        double Number(uint word, int place) => Math.Floor(word / Math.Pow(2, place * bits)) % Math.Pow(2, bits);
    }

    /// <summary>Bytes within a larger tensor's memory: behind so many others, with rows of a larger width.</summary>
    /// <param name="device">Where.</param>
    /// <param name="dtype">The dtype.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="columns">The columns.</param>
    /// <param name="bytes">The elements.</param>
    /// <param name="skip">The bytes before the first.</param>
    /// <param name="gap">The elements between two rows.</param>
    public static Tensor Put(Device device, DType dtype, int rows, int columns, ReadOnlySpan<byte> bytes, int skip = 0, int gap = 0)
    {
        var size = dtype.BlockSize;
        var all = DeviceBytes.Random(rows, skip + ((long)rows * (columns + gap) * size) + 3);
        for (var row = 0; row < rows; row++)
        {
            bytes.Slice(row * columns * size, columns * size).CopyTo(all.AsSpan(skip + (row * (columns + gap) * size)));
        }

        using var memory = DeviceBytes.Put(device, all);
        return new Tensor(memory, dtype, new Shape(rows, columns), [columns + gap, 1], skip);
    }
}
