using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>What distinguishes the signed 8-bit floats; constants that the JIT folds (formats.md 1.4).</summary>
internal unsafe interface IFloat8Layout
{
    /// <summary>Bits of the mantissa; the exponent has 7 less these.</summary>
    static abstract int MantissaBits { get; }

    /// <summary>The exponent's bias.</summary>
    static abstract int Bias { get; }

    /// <summary>Whether the largest exponent stands for infinity and NaN.</summary>
    static abstract bool HasInfinity { get; }

    /// <summary>Whether 80 is a negative zero; else it is the only NaN.</summary>
    static abstract bool HasNegativeZero { get; }

    /// <summary>Loads 32 values as BF16, in which they are exact; only where <see cref="Avx512Vbmi.IsSupported"/>.</summary>
    static abstract Vector512<ushort> LoadBrain(byte* source);
}
