using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary>The threads of a launch that is no more than so many threads, each of which does one piece.</summary>
/// <remarks>Explicitly grouped, for the reason given at <see cref="DecodeKernels"/>; threads beyond the last piece do nothing.</remarks>
internal static class Threads
{
    /// <summary>The number of this thread, in a kernel.</summary>
    public static int Index
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (ILGPU.Grid.IdxX * Group.DimX) + Group.IdxX;
    }

    /// <summary>The groups of a launch.</summary>
    /// <param name="accelerator">Where it is launched.</param>
    /// <param name="threads">How many pieces there are, at most <see cref="LaunchLimits.Threads"/>.</param>
    public static KernelConfig Config(Accelerator accelerator, int threads)
    {
        var group = Math.Min(DecodeKernels.GroupSize, accelerator.MaxNumThreadsPerGroup);
        return new KernelConfig((threads + group - 1) / group, group);
    }
}
