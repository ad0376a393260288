using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a rank's save has done.</summary>
/// <param name="Path">The folder, as it was given.</param>
/// <param name="SaveId">What the save is called.</param>
/// <param name="Parallel">The rank.</param>
/// <param name="Files">The base names of this rank's parts, in their order.</param>
/// <param name="CarriedFiles">The base names of configuration and tokenizer, where this rank has copied them.</param>
/// <param name="TensorCount">How many tensors were written.</param>
/// <param name="RestoredCount">How many further names are restored from those.</param>
/// <param name="ByteLength">The tensors' size in bytes.</param>
/// <param name="MissingRanks">The ranks whose share is not there yet: the folder appears with the last.</param>
/// <param name="Elapsed">How long it took.</param>
public sealed record ShardedStateSaveResult(
    string Path,
    string SaveId,
    TensorParallel Parallel,
    ImmutableArray<string> Files,
    ImmutableArray<string> CarriedFiles,
    int TensorCount,
    int RestoredCount,
    long ByteLength,
    ImmutableArray<int> MissingRanks,
    TimeSpan Elapsed)
{
    /// <summary>Whether all ranks are there, and the folder with them.</summary>
    public bool IsComplete => MissingRanks.IsEmpty;
}
