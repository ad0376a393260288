namespace IlgpuLoader.Loading;

/// <summary>Bytes of one file that are read in one go, and the placements they serve.</summary>
/// <param name="File">The file's index in the checkpoint.</param>
/// <param name="Offset">The first byte, from the start of the file.</param>
/// <param name="ByteLength">How many bytes.</param>
/// <param name="FirstPlacement">The first placement served, as an index in the plan.</param>
/// <param name="PlacementCount">How many placements follow each other from there.</param>
/// <param name="IsDirect">Whether the bytes are read straight into their place, without a staging slot.</param>
public readonly record struct ReadRun(
    int File, long Offset, int ByteLength, int FirstPlacement, int PlacementCount, bool IsDirect);
