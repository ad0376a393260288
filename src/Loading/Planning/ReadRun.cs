using System.Runtime.InteropServices;

namespace IlgpuLoader.Loading;

/// <summary>Bytes of one file that are read in one go, and the placements they serve.</summary>
/// <param name="File">The file's index in the checkpoint.</param>
/// <param name="Offset">The first byte, from the start of the file.</param>
/// <param name="ByteLength">How many bytes are read.</param>
/// <param name="KeptByteLength">How many of them are placed: fewer than are read where segments are sieved.</param>
/// <param name="FirstPlacement">The first placement served, as an index in the plan.</param>
/// <param name="PlacementCount">How many placements follow each other from there; one where the run has segments.</param>
/// <param name="Kind">How the bytes are read.</param>
/// <remarks>The layout is automatic, which leaves no gaps: a plan may have millions of runs.</remarks>
[StructLayout(LayoutKind.Auto)]
public readonly record struct ReadRun(
    int File, long Offset, int ByteLength, int KeptByteLength, int FirstPlacement, int PlacementCount, RunKind Kind)
{
    /// <summary>Whether the bytes are read straight into their place, without a staging slot.</summary>
    public bool IsInPlace => Kind == RunKind.InPlace;

    /// <summary>Whether the bytes go through a staging slot.</summary>
    public bool IsStaged => Kind is not (RunKind.InPlace or RunKind.Mapped);
}
