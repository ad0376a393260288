using IlgpuLoader.Formats;

namespace IlgpuLoader.Harness;

/// <summary>Bytes of tensors: ones, or random blocks with scales that are small finite numbers.</summary>
internal static class BlockBytes
{
    // The upper byte of a small positive float16.
    private const byte Small = 0x1C;

    /// <summary>Makes bytes of a dtype.</summary>
    /// <param name="dtype">The dtype.</param>
    /// <param name="length">Whole elements or blocks.</param>
    public static byte[] Of(DType dtype, long length)
    {
        var bytes = new byte[length];
        if (!dtype.IsBlock)
        {
            bytes.AsSpan().Fill(1);
            return bytes;
        }

        new Random(1).NextBytes(bytes);
        var scales = ScaleOffsets(dtype);
        for (var block = 0; block < bytes.Length; block += dtype.BlockSize)
        {
            foreach (var offset in scales)
            {
                bytes[block + offset + 1] = Small;
            }
        }

        return bytes;
    }

    // Where ggml's blocks have their float16 scales.
    private static int[] ScaleOffsets(DType dtype) => dtype switch
    {
        DType.Q4_0 or DType.Q8_0 => [0],
        DType.Q4_K => [0, 2],
        DType.Q6_K => [208],
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Its scales are not known here."),
    };
}
