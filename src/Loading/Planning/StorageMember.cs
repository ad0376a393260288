namespace IlgpuLoader.Loading;

/// <summary>A tensor that may become a view of a block.</summary>
/// <param name="Tensor">Its index in the plan.</param>
/// <param name="Extent">Its part of the storage.</param>
/// <param name="ElementCount">Its elements: more than the extent has where it is expanded or its dimensions overlap.</param>
internal readonly record struct StorageMember(int Tensor, StorageExtent Extent, long ElementCount);
