namespace IlgpuLoader.Formats;

/// <summary>What one file of a checkpoint holds, according to its validated header.</summary>
/// <param name="Tensors">The tensors, in the order of their bytes.</param>
/// <param name="Metadata">The file's own metadata, by key.</param>
internal sealed record FileContent(IReadOnlyList<TensorInfo> Tensors, IReadOnlyDictionary<string, object> Metadata);
