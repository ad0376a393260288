using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 176 bytes: as <see cref="Q4_KUnit"/>, with 32 bytes after the scales whose bit i is the fifth bit of the
/// quants of block i. A value is scale * quant - minimum.
/// </summary>
public readonly struct Q5_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 176;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = SixBitScales.ReadScale(reader, blockOffset, unit);
        var minimum = SixBitScales.ReadMinimum(reader, blockOffset, unit);
        var fifthBits = blockOffset + SixBitScales.Size;
        var quants = fifthBits + Unit.Length + ((unit >> 1) * Unit.Length);
        var shift = (unit & 1) * 4;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var low = (reader.ReadInt32(quants + index) >> shift) & 0x0F0F_0F0F;
            var high = (reader.ReadInt32(fifthBits + index) >> unit) & 0x0101_0101;
            FourQuants.Write(sink, firstIndex + index, scale, low | (high << 4), minimum);
        }
    }
}

/// <summary>Q5_K in vectors.</summary>
internal readonly unsafe struct Q5_KVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        SixBitScales.Read(block, out var scales, out var minima);
        var scale = (float*)&scales;
        var minimum = (float*)&minima;

        // Shifted as words: what crosses from byte to byte is masked.
        var fifthBits = Vector256.Load((ushort*)(block + SixBitScales.Size));
        var fifthBit = Vector256.Create((byte)0x10);
        var quants = block + SixBitScales.Size + Unit.Length;
        for (var unit = 0; unit < 8; unit += 2, quants += Unit.Length, fifthBits >>>= 2)
        {
            var packed = Vector256.Load(quants);
            var first = (packed & Vector256.Create((byte)0xF)) | ((fifthBits << 4).AsByte() & fifthBit);
            var second = (packed >>> 4) | ((fifthBits << 3).AsByte() & fifthBit);
            output.Write<Minus>(unit, first.AsSByte(), scale[unit], minimum[unit], scale[unit], minimum[unit]);
            output.Write<Minus>(unit + 1, second.AsSByte(), scale[unit + 1], minimum[unit + 1], scale[unit + 1], minimum[unit + 1]);
        }
    }
}
