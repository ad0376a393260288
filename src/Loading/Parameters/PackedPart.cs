namespace IlgpuLoader.Loading;

/// <summary>One of the weights that a linear layer's parameter packs, such as the query's of query, key and value. Immutable.</summary>
/// <param name="Id">What weights that are this part are called (<see cref="ShardId.Part"/>); null for the only one.</param>
/// <param name="Size">Its output features over all ranks, each counted once.</param>
/// <param name="Replicas">How many neighbouring ranks have the same share of it: more than 1 where there are fewer key and value heads than ranks.</param>
public sealed record PackedPart(string? Id, long Size, int Replicas = 1);
