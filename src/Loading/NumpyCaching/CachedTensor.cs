namespace IlgpuLoader.Loading;

/// <summary>A tensor of a cache.</summary>
/// <param name="Name">Its name.</param>
/// <param name="File">The base name of its file.</param>
/// <param name="DType">Its type as it is spelled here.</param>
/// <param name="TiedTo">The tensor whose file it shares; null for all others.</param>
internal sealed record CachedTensor(string Name, string File, string DType, string? TiedTo = null);
