namespace IlgpuLoader.Loading;

/// <summary>A dimension of a copy between two places with strides.</summary>
/// <param name="Size">How many indexes it has.</param>
/// <param name="Source">From one index to the next where it is read, in bytes; 0 where all are the same elements.</param>
/// <param name="Destination">From one index to the next where it goes, in bytes.</param>
internal readonly record struct StridedDimension(long Size, long Source, long Destination);
