using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The lower or upper 16 bits of every 32, from two vectors into one. The runtime's <c>Vector512.Narrow</c> becomes two
/// narrowing moves and an insertion (5 operations on one port); one permutation of both vectors does the same.
/// </summary>
internal static class Halves
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> Lower(Vector512<int> lower, Vector512<int> upper) => Avx512BW.IsSupported
        ? Avx512BW.PermuteVar32x16x2(
            lower.AsUInt16(), Vector512.CreateSequence<ushort>(0, 2), upper.AsUInt16())
        : Vector512.Narrow(lower.AsUInt32(), upper.AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> Upper(Vector512<int> lower, Vector512<int> upper) => Avx512BW.IsSupported
        ? Avx512BW.PermuteVar32x16x2(
            lower.AsUInt16(), Vector512.CreateSequence<ushort>(1, 2), upper.AsUInt16())
        : Vector512.Narrow(lower.AsUInt32() >>> 16, upper.AsUInt32() >>> 16);
}
