using System.Runtime.Intrinsics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The vector path of one width between two float types, called by name whatever the processor has.</summary>
internal sealed unsafe class VectorPath(DType from, DType to, int width, VectorPath.Run run)
{
    public delegate void Run(byte* source, byte* destination, nint count, DType target, bool bypassCache);

    public static readonly DType[] Floats = [DType.F32, DType.F16, DType.BF16, DType.F64];

    /// <summary>Values one step converts.</summary>
    public int Step => width / 16;

    public static VectorPath Find(DType from, DType to, int width) => new(from, to, width, (from, width) switch
    {
        (DType.F32, 128) => FloatCodec<F32Element, F32Vectors>.DecodeWith<Width128>,
        (DType.F32, 256) => FloatCodec<F32Element, F32Vectors>.DecodeWith<Width256>,
        (DType.F32, 512) => FloatCodec<F32Element, F32Vectors>.DecodeWith<Width512>,
        (DType.F16, 128) => FloatCodec<F16Element, F16Vectors>.DecodeWith<Width128>,
        (DType.F16, 256) => FloatCodec<F16Element, F16Vectors>.DecodeWith<Width256>,
        (DType.F16, 512) => FloatCodec<F16Element, F16Vectors>.DecodeWith<Width512>,
        (DType.BF16, 128) => FloatCodec<BF16Element, BF16Vectors>.DecodeWith<Width128>,
        (DType.BF16, 256) => FloatCodec<BF16Element, BF16Vectors>.DecodeWith<Width256>,
        (DType.BF16, 512) => FloatCodec<BF16Element, BF16Vectors>.DecodeWith<Width512>,
        (DType.F64, 128) => FloatCodec<F64Element, F64Vectors>.DecodeWith<Width128>,
        (DType.F64, 256) => FloatCodec<F64Element, F64Vectors>.DecodeWith<Width256>,
        (DType.F64, 512) => FloatCodec<F64Element, F64Vectors>.DecodeWith<Width512>,
        _ => throw new ArgumentOutOfRangeException(nameof(from)),
    });

    /// <summary>Runs on all of <paramref name="source"/>, which fills <paramref name="destination"/>.</summary>
    public void Convert(ReadOnlySpan<byte> source, Span<byte> destination, bool bypassCache)
    {
        fixed (byte* first = source)
        fixed (byte* result = destination)
        {
            run(first, result, source.Length / from.BlockSize, to, bypassCache);
        }
    }

    /// <summary>Whether any width runs in hardware here; without, <see cref="Codec.Decode"/> is the scalar body.</summary>
    public static bool HasHardware => Vector128.IsHardwareAccelerated;
}
