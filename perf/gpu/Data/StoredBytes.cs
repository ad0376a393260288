using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Stored elements: hard ones for checks, ordinary ones for figures. The same every time.</summary>
internal static class StoredBytes
{
    /// <summary>Elements at which decoding goes wrong where it does, NaN payloads and subnormals among them; random blocks.</summary>
    /// <param name="dtype">The type.</param>
    /// <param name="groups">How many elements, or blocks of a block type.</param>
    public static byte[] Hard(DType dtype, int groups)
    {
        var random = new Random(20_261_122 + (int)dtype);
        var bytes = new byte[(long)groups * dtype.BlockSize];
        random.NextBytes(bytes);
        switch (dtype)
        {
            case DType.F16 or DType.BF16 or DType.C32:
                // Every pattern in turn, where there is room.
                var halves = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
                var step = Math.Max(1, 0x1_0000 / halves.Length) | 1;
                for (var i = 0; i < halves.Length; i++)
                {
                    halves[i] = (ushort)(i * step);
                }

                break;
            case DType.F32 or DType.C64:
                var singles = MemoryMarshal.Cast<byte, uint>(bytes.AsSpan());
                for (var i = 0; i < singles.Length; i++)
                {
                    singles[i] = HardSingle(i, singles[i]);
                }

                break;
            case DType.F64 or DType.C128:
                var doubles = MemoryMarshal.Cast<byte, ulong>(bytes.AsSpan());
                for (var i = 0; i < doubles.Length; i++)
                {
                    doubles[i] = HardDouble(i, doubles[i]);
                }

                break;
        }

        return bytes;
    }

    /// <summary>Elements as weights are: finite and small. What block types are made of does not change how fast they decode.</summary>
    public static byte[] Ordinary(DType dtype, int groups)
    {
        var bytes = new byte[(long)groups * dtype.BlockSize];
        if (dtype is DType.F32 or DType.F16 or DType.BF16 or DType.F64)
        {
            RandomFill.Uniform(bytes, dtype, 0, 1, -1, 1);
        }
        else
        {
            new Random((int)dtype).NextBytes(bytes);
        }

        return bytes;
    }

    private static uint HardSingle(int i, uint random)
    {
        var sign = random & 0x8000_0000;
        var kind = i % 5;
        return kind switch
        {
            // Each bit of a NaN's payload alone, quiet and not, with some others.
            0 => sign | 0x7F80_0000 | (1u << (i / 5 % 23)),
            1 => sign | 0x7FC0_0000 | (random & 0x003F_FFFF),
            // The range of F16 with its subnormals: half way between two of them, and beside it.
            2 => sign | ((100 + (random >> 8 & 63) % 45) << 23) | (random & 0x007F_E000) | 0x1000,
            3 => sign | ((100 + (random >> 8 & 63) % 45) << 23) | (random & 0x007F_E000) | (0x0FFF + (random & 2)),
            _ => random,
        };
    }

    private static ulong HardDouble(int i, ulong random)
    {
        var sign = random & 0x8000_0000_0000_0000;
        var kind = i % 4;
        return kind switch
        {
            0 => sign | 0x7FF0_0000_0000_0000 | (1UL << (i / 4 % 52)),
            // Half way between two float32, in the range of F16 and beyond.
            1 => sign | ((990 + (random >> 8) % 60) << 52) | (random & 0x000F_FFFF_E000_0000) | 0x1000_0000,
            2 => sign | ((870 + (random >> 8) % 300) << 52) | (random & 0x000F_FFFF_FFFF_FFFF),
            _ => random,
        };
    }
}
