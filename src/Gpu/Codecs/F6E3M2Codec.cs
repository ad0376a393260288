using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>6-bit float E3M2.</summary>
public readonly struct F6E3M2 : IFloat6
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat6.ToSingle(int stored) => FloatBits.F6E3M2ToSingle(stored);
}
