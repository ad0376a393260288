namespace IlgpuLoader.TestKit;

/// <summary>The devices that behaviours are tested on.</summary>
public enum TestDevice
{
    /// <summary>The host; always there.</summary>
    Host,

    /// <summary>ILGPU's CPU accelerator: slow, so sizes are small.</summary>
    Simulator,

    /// <summary>The first OpenCL device, mostly PoCL.</summary>
    OpenCL,

    /// <summary>The first CUDA device.</summary>
    Cuda,
}
