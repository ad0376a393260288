namespace IlgpuLoader.Formats;

/// <summary>An array of a <see cref="NumpyFolder"/>.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="File">The base name of its file.</param>
/// <param name="DType">The type, where NumPy lacks it and saves bytes of its size; null where the file says it.</param>
/// <param name="TiedTo">The tensor of the same file that this one is an alias of; null for all others.</param>
public sealed record NumpyFolderEntry(string Name, string File, DType? DType = null, string? TiedTo = null);
