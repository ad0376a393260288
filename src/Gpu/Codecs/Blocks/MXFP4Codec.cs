using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 17 bytes: a scale that is a power of two (E8M0, 255 no NaN), 16 bytes whose low four bits are the first 16
/// floats (E2M1) and whose high four bits the last 16. The floats are taken twice as large, the scale half as large.
/// </summary>
public readonly struct MXFP4Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 17;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = HalfScale(reader.ReadByte(blockOffset));
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(blockOffset + 1 + index);
            NibbleValues.WriteFloats(sink, firstIndex + index, scale, four);
            NibbleValues.WriteFloats(sink, firstIndex + index + (Unit.Length / 2), scale, four >> 4);
        }
    }

    /// <summary>2^(code - 128) as a float32, subnormal for the codes 0 and 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int HalfScale(int code) => code < 2 ? 0x0020_0000 << code : (code - 1) << 23;
}

/// <summary>MXFP4 in vectors.</summary>
internal readonly unsafe struct MXFP4Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = BitConverter.Int32BitsToSingle(MXFP4Unit.HalfScale(*block));
        output.Write(0, NibbleValues.LookUpFloats(Nibbles.Load(block + 1)), scale, scale);
    }
}
