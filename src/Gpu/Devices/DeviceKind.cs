namespace IlgpuLoader.Gpu;

/// <summary>Where a device keeps its bytes.</summary>
public enum DeviceKind
{
    /// <summary>The computer's own memory; always there.</summary>
    Host,
    /// <summary>Nowhere: shapes and dtypes without storage.</summary>
    Meta,
    /// <summary>An NVIDIA GPU.</summary>
    Cuda,
    /// <summary>An OpenCL device.</summary>
    OpenCL,
    /// <summary>ILGPU's CPU accelerator: kernels run step by step for debugging, a million threads a second.</summary>
    Simulator,
    /// <summary>Several devices that hold the same bytes.</summary>
    Group,
}
