namespace IlgpuLoader.Cli.Output;

/// <summary>
/// What <c>shard</c> wrote. <c>complete</c>: whether the folder is there; else it appears when <c>missingRanks</c> are saved too. <c>processed</c>: whether quantisation methods have been at the weights.
/// </summary>
internal sealed record ShardDocument(
    string Path,
    string Output,
    string SaveId,
    ModelDescription Model,
    bool Processed,
    IReadOnlyList<ShardedRank> Ranks,
    bool Complete,
    IReadOnlyList<int> MissingRanks,
    IReadOnlyList<string> CarriedFiles,
    long BytesRead,
    long BytesWritten,
    double Seconds,
    long PeakMemoryBytes) : Document("ilgpu-loader/shard/1");

/// <summary>One rank's share: tensors that were written, and names that are restored from them (ties, views).</summary>
internal sealed record ShardedRank(int Rank, int Tensors, int RestoredNames, long Bytes, IReadOnlyList<string> Files, double LoadSeconds, double SaveSeconds);

/// <summary>What <c>load --sharded</c> did. <c>resharded</c>: whether it was split anew, by then for <c>worldSize</c> ranks.</summary>
internal sealed record ShardedLoadDocument(
    string Path,
    string Device,
    int Rank,
    int? WorldSize,
    int? SavedWorldSize,
    bool Verified,
    bool Resharded,
    ModelDescription? Model,
    int Tensors,
    long Bytes,
    long BytesRead,
    double OpenSeconds,
    double LoadSeconds,
    double ReadGigabytesPerSecond,
    long PeakMemoryBytes) : Document("ilgpu-loader/load-sharded/1");
