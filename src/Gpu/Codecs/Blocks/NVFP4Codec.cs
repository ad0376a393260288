using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 64 values in 36 bytes: a scale (UE4M3) for each 16 of them, then 8 bytes for each 16, whose low four bits are the first 8
/// floats (E2M1) and whose high four bits the last 8. The floats are taken twice as large, the scale half as large.
/// </summary>
public readonly struct NVFP4Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 36;

    static int IUnitDecoder.UnitsPerBlockShift => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        for (var half = 0; half < 2; half++)
        {
            var part = (2 * unit) + half;
            var scale = NVFP4Scale.Widen(reader.ReadByte(blockOffset + part));
            var offset = blockOffset + 4 + (part * 8);
            var index = firstIndex + (half * (Unit.Length / 2));
            var first = reader.ReadInt32(offset);
            var second = reader.ReadInt32(offset + 4);
            NibbleValues.WriteFloats(sink, index, scale, first);
            NibbleValues.WriteFloats(sink, index + 4, scale, second);
            NibbleValues.WriteFloats(sink, index + 8, scale, first >> 4);
            NibbleValues.WriteFloats(sink, index + 12, scale, second >> 4);
        }
    }
}

/// <summary>NVFP4 in vectors.</summary>
internal readonly unsafe struct NVFP4Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scales = NVFP4Scale.Load(block);
        output.Write(0, NibbleValues.LookUpFloats(Nibbles.LoadEights(block + 4)), scales.GetElement(0), scales.GetElement(1));
        output.Write(1, NibbleValues.LookUpFloats(Nibbles.LoadEights(block + 20)), scales.GetElement(2), scales.GetElement(3));
    }
}
