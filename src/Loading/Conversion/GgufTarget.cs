using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes GGUF. The metadata of a GGUF checkpoint is carried over as it is, in its order and types, and with it the alignment;
/// only the numbers of its parts, and the type that most tensors have where that is another one now, are made anew. A single
/// string that is not valid UTF-8 is written as it was read, with U+FFFD for what is wrong in it, and opening it warns of that;
/// strings of arrays keep their bytes. Text of a safetensors checkpoint becomes STRING values, and of what a PyTorch file says text, truth
/// values and numbers have types of their own; what else it may hold (None, lists, bytes, complex numbers, integers beyond 64 bits) is left
/// behind.
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
            // What a GGUF file says of its own parts is of no use to others, and is not missed.
            if ((headers.Length > 0 && GgufFileKeys.IsSplit(key)) || !checkpoint.Metadata.TryGetValue(key, out var value))
            {
                continue;
            }

            // As text, an alignment or a part's number would be an error. Ties are still there where they were not understood, and
            // the format has none.
            var isTaken = headers.Length == 0
                && (key == SafetensorsTies.MetadataKey || GgufFileKeys.IsAlignment(key) || GgufFileKeys.IsSplit(key));
            if (isTaken || !GgufWriter.CanName(key) || !GgufWriter.CanHold(value))
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

    public override bool HasTies => false;

    public override bool KeepsBlocks => true;

    public override int MaximumShards => GgufFileKeys.MaximumParts;

    public override string? Index => null;

    public override IReadOnlyList<string> OmittedMetadata => _omitted;

    protected override OutputFormat Format => OutputFormat.Gguf;

    public override string? Objection(OutputTensor tensor) => GgufWriter.Objection(new GgufTensor(tensor.Name, tensor.DType, tensor.Shape));

    public override async Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken) =>
        await GgufWriter.CreateAsync(path, Tensors(plan.Shards[0]), Metadata(plan, 0), overwrite: overwrite, cancellationToken: cancellationToken)
            .ConfigureAwait(false);

    public override async Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken) =>
        await GgufWriter.CreateAsync(
            folder, NameOfShard(shard, plan.Shards.Length), Tensors(plan.Shards[shard]), Metadata(plan, shard), cancellationToken: cancellationToken)
            .ConfigureAwait(false);

    private static IEnumerable<GgufTensor> Tensors(OutputShard shard) =>
        shard.Tensors.Select(tensor => new GgufTensor(tensor.Name, tensor.DType, tensor.Shape));

    private ImmutableArray<KeyValuePair<string, object>> Metadata(ConversionPlan plan, int shard) =>
        GgufFileKeys.OfPart(_metadata, shard, plan.Shards.Length, plan.TensorCount);
}
