using System.Runtime.Intrinsics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The vector path of one width between two float types, called by name whatever the processor has.</summary>
internal sealed unsafe class VectorPath(DType from, DType to, int width, VectorPath.Run run)
{
    public delegate void Run(byte* source, byte* destination, nint count, DType target, bool bypassCache);

    /// <summary>The types that have vector paths.</summary>
    public static readonly DType[] Sources =
    [
        DType.F32, DType.F16, DType.BF16, DType.F64, DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ, DType.F8_E8M0,
    ];

    /// <summary>The types that values are decoded to.</summary>
    public static readonly DType[] Targets =
    [
        DType.F32, DType.F16, DType.BF16, DType.F64, DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ,
    ];

    /// <summary>Values one step converts.</summary>
    public int Step => width / 16;

    public static VectorPath Find(DType from, DType to, int width) => new(from, to, width, from switch
    {
        DType.F32 => Of<F32Element, F32Vectors>(width),
        DType.F16 => Of<F16Element, F16Vectors>(width),
        DType.BF16 => Of<BF16Element, BF16Vectors>(width),
        DType.F64 => Of<F64Element, F64Vectors>(width),
        DType.F8_E4M3 => Of<Float8Element<F8E4M3>, Float8Vectors<F8E4M3Layout>>(width),
        DType.F8_E5M2 => Of<Float8Element<F8E5M2>, Float8Vectors<F8E5M2Layout>>(width),
        DType.F8_E4M3FNUZ => Of<Float8Element<F8E4M3FNUZ>, Float8Vectors<F8E4M3FNUZLayout>>(width),
        DType.F8_E5M2FNUZ => Of<Float8Element<F8E5M2FNUZ>, Float8Vectors<F8E5M2FNUZLayout>>(width),
        DType.F8_E8M0 => Of<Float8Element<F8E8M0>, F8E8M0Vectors>(width),
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

    private static Run Of<TElement, TVectors>(int width)
        where TElement : struct, IElementDecoder
        where TVectors : struct, IVectorSource => width switch
        {
            128 => FloatCodec<TElement, TVectors>.DecodeWith<Width128>,
            256 => FloatCodec<TElement, TVectors>.DecodeWith<Width256>,
            _ => FloatCodec<TElement, TVectors>.DecodeWith<Width512>,
        };
}
