namespace IlgpuLoader.Gpu;

/// <summary>One device of this machine, as a listing shows it.</summary>
/// <param name="Id">What selects it: <c>host</c>, <c>meta</c>, <c>cuda:0</c>, <c>opencl:0</c>.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Name">The name its driver gives.</param>
/// <param name="TotalMemory">All its memory in bytes.</param>
/// <param name="FreeMemory">
/// What is free in bytes, or null where it is not known: CUDA says it of a GPU that is opened, which a listing does not do, and OpenCL never.
/// </param>
/// <param name="Unusable">Why nothing can be loaded onto it, or null where something can.</param>
public sealed record DeviceDescription(
    string Id, DeviceKind Kind, string Name, long TotalMemory, long? FreeMemory, string? Unusable = null)
{
    /// <summary>The driver and its version, or null where there is none.</summary>
    public string? Driver { get; init; }

    /// <summary>What kernels are compiled to, such as <c>PTX ISA 8.8 for SM_90</c>, or null where none are.</summary>
    public string? InstructionSet { get; init; }
}
