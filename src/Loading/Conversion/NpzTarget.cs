using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Numpy;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes archives of NumPy arrays. They hold arrays and nothing else: metadata has no place in them, and neither have ties.
/// </summary>
internal sealed class NpzTarget(Checkpoint checkpoint) : ConversionTarget
{
    public override bool HasTies => false;

    public override bool KeepsBlocks => false;

    public override int MaximumShards => int.MaxValue;

    public override string? Index => null;

    public override IReadOnlyList<string> OmittedMetadata { get; } = [.. checkpoint.Metadata.Keys];

    protected override OutputFormat Format => OutputFormat.Npz;

    public override string? Objection(OutputTensor tensor) => NpzWriter.Objection(new NumpyTensor(tensor.Name, tensor.DType, tensor.Shape));

    public override Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ITensorWriter>(NpzWriter.Create(path, Tensors(plan.Shards[0]), overwrite));
    }

    public override Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ITensorWriter>(NpzWriter.Create(folder, NameOfShard(shard, plan.Shards.Length), Tensors(plan.Shards[shard])));
    }

    private static IEnumerable<NumpyTensor> Tensors(OutputShard shard) =>
        shard.Tensors.Select(tensor => new NumpyTensor(tensor.Name, tensor.DType, tensor.Shape));
}
