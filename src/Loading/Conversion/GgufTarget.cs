using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes GGUF. The metadata of a GGUF checkpoint is carried over as it is, in its order and types, and with it the alignment;
/// only the numbers of its parts, and the type that most tensors have where that is another one now, are made anew. Text of a safetensors checkpoint becomes STRING values.
/// </summary>
internal sealed class GgufTarget : ConversionTarget
{
    private readonly List<KeyValuePair<string, object>> _metadata = [];
    private readonly List<string> _omitted = [];

    public GgufTarget(Checkpoint checkpoint, DType? dtype)
    {
        var headers = checkpoint.Files.Select(file => file.Header).OfType<GgufHeader>().ToArray();
        var keys = headers.Length > 0 ? headers.SelectMany(header => header.Keys).Distinct() : checkpoint.Metadata.Keys;
        foreach (var key in keys)
        {
            // As text, an alignment that was one of GGUF once would be an error.
            if (GgufFileKeys.IsSplit(key)
                || (headers.Length == 0 && (key == SafetensorsTies.MetadataKey || GgufFileKeys.IsAlignment(key)))
                || !checkpoint.Metadata.TryGetValue(key, out var value))
            {
                continue;
            }

            if (!GgufWriter.CanName(key))
            {
                _omitted.Add(key);
            }
            else if (!GgufFileKeys.IsFileType(key) || dtype is not { } converted)
            {
                _metadata.Add(KeyValuePair.Create(key, value));
            }
            else if (GgufFileKeys.FileTypeOf(converted) is { } fileType)
            {
                _metadata.Add(KeyValuePair.Create<string, object>(key, fileType));
            }
        }
    }

    public override string Name => "GGUF";

    public override bool HasTies => false;

    public override int MaximumShards => GgufFileKeys.MaximumParts;

    public override bool HasIndex => false;

    public override IReadOnlyList<string> OmittedMetadata => _omitted;

    protected override string Extension => ".gguf";

    public override string? Objection(TensorInfo tensor, DType dtype) => GgufWriter.Objection(new GgufTensor(tensor.Name, dtype, tensor.Shape));

    public override async Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken) =>
        await GgufWriter.CreateAsync(path, Tensors(plan.Shards[0]), Metadata(plan, 0), overwrite: overwrite, cancellationToken: cancellationToken)
            .ConfigureAwait(false);

    public override async Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken) =>
        await GgufWriter.CreateAsync(
            folder, NameOfShard(shard, plan.Shards.Length), Tensors(plan.Shards[shard]), Metadata(plan, shard), cancellationToken: cancellationToken)
            .ConfigureAwait(false);

    private static IEnumerable<GgufTensor> Tensors(OutputShard shard) =>
        shard.Tensors.Select(tensor => new GgufTensor(tensor.Name, tensor.DType, tensor.Source.Shape));

    private ImmutableArray<KeyValuePair<string, object>> Metadata(ConversionPlan plan, int shard) =>
        GgufFileKeys.OfPart(_metadata, shard, plan.Shards.Length, plan.TensorCount);
}
