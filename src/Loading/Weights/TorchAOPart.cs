namespace IlgpuLoader.Loading;

/// <summary>A tensor of a file that is part of another.</summary>
/// <param name="Field">The field that it is; empty for a tensor that is the whole.</param>
/// <param name="Key">Its name in the file.</param>
internal readonly record struct TorchAOPart(string Field, string Key);
