using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>6-bit float E2M3.</summary>
public readonly struct F6E2M3 : IFloat6
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat6.ToSingle(int stored) => FloatBits.F6E2M3ToSingle(stored);
}
