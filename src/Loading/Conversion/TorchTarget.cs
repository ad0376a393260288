using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes PyTorch files: a dict of tensors and nothing else, which is what every loader of state dicts takes. Ties are views of
/// one storage; metadata has no place.
/// </summary>
internal sealed class TorchTarget : ConversionTarget
{
    private readonly List<string> _omitted = [];

    public TorchTarget(Checkpoint checkpoint)
    {
        var isGguf = checkpoint.Files[0].Header is GgufHeader;
        foreach (var (key, value) in checkpoint.Metadata)
        {
            // What describes the files that were read, or says that they were made for PyTorch, is not missed.
            var describesFiles = isGguf ? GgufFileKeys.IsAlignment(key) || GgufFileKeys.IsSplit(key) : key == "format" && value is "pt";
            if (!describesFiles)
            {
                _omitted.Add(key);
            }
        }
    }

    public override bool HasTies => true;

    public override bool KeepsBlocks => false;

    public override int MaximumShards => int.MaxValue;

    public override string? Index => ShardNames.TorchIndex;

    public override IReadOnlyList<string> OmittedMetadata => _omitted;

    protected override OutputFormat Format => OutputFormat.Torch;

    public override string? Objection(OutputTensor tensor) => TorchWriter.Objection(new TorchTensor(tensor.Name, tensor.DType, tensor.Shape));

    // Here ties are tensors like all others.
    public override IEnumerable<string> IndexedNames(OutputShard shard) => base.IndexedNames(shard).Concat(shard.Ties.Keys);

    public override Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ITensorWriter>(TorchWriter.Create(path, Tensors(plan.Shards[0]), overwrite));
    }

    public override Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ITensorWriter>(TorchWriter.Create(folder, NameOfShard(shard, plan.Shards.Length), Tensors(plan.Shards[shard])));
    }

    // Each tie right behind the tensor whose storage it shares.
    private static IEnumerable<TorchTensor> Tensors(OutputShard shard)
    {
        var aliases = shard.Ties.ToLookup(tie => tie.Value, tie => tie.Key, StringComparer.Ordinal);
        foreach (var tensor in shard.Tensors)
        {
            yield return new TorchTensor(tensor.Name, tensor.DType, tensor.Shape);
            foreach (var alias in aliases[tensor.Name])
            {
                yield return new TorchTensor(alias, tensor.DType, tensor.Shape) { TiedTo = tensor.Name };
            }
        }
    }
}
