using System.Runtime.InteropServices;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What figures were measured on. Immutable.</summary>
/// <param name="Processor">The processor's name and its logical cores.</param>
/// <param name="MemoryBytes">All memory, or the container's limit where that is less.</param>
/// <param name="System">The operating system and its version.</param>
/// <param name="Runtime">The .NET runtime.</param>
/// <param name="Architecture">The runtime identifier, such as <c>linux-x64</c>.</param>
public sealed record MachineDescription(string Processor, long MemoryBytes, string System, string Runtime, string Architecture)
{
    /// <summary>This machine.</summary>
    public static MachineDescription Current => new(
        HostDevice.Shared.Name,
        HostDevice.Shared.TotalMemory,
        RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        RuntimeInformation.RuntimeIdentifier);

    /// <summary>All of it in a line.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"{Processor}, {MemoryBytes / (double)(1L << 30):0.0} GiB, {System}, {Runtime}, {Architecture}");
}
