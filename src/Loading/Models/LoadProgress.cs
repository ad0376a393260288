namespace IlgpuLoader.Loading;

/// <summary>How far a load is. Counts only grow, and the last report is complete.</summary>
/// <param name="BytesRead">Bytes read so far.</param>
/// <param name="TotalBytes">Bytes to read.</param>
/// <param name="TensorsLoaded">Tensors that are complete.</param>
/// <param name="TotalTensors">Tensors to load.</param>
public readonly record struct LoadProgress(long BytesRead, long TotalBytes, int TensorsLoaded, int TotalTensors);
