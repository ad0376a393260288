namespace IlgpuLoader.Gpu;

/// <summary>How much one launch does at most: beyond, there are several. Smaller for tests.</summary>
internal sealed record LaunchLimits
{
    /// <summary>The threads of a launch that is no more than so many threads; at most 2^30, so that a thread's number is an int.</summary>
    public long Threads { get; init; } = 1L << 30;

    /// <summary>The groups, of 128 threads, of a launch that decodes: ILGPU multiplies the two as ints for OpenCL. CUDA's limit is 2^31 - 1.</summary>
    public long Groups { get; init; } = 1L << 23;

    /// <summary>The chunks that are summed up at once: a gigabyte of F32 a launch, and 3 MiB of results.</summary>
    public int Chunks { get; init; } = 1 << 16;

    /// <summary>
    /// The chunks with values that are not finite that come back at once. They are few; where they are not, 2 or 4 MiB at a time.
    /// </summary>
    public int OddChunks { get; init; } = 128;
}
