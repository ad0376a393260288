using System.Globalization;
using System.Numerics;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes safetensors. Its metadata is text: numbers and truth values of GGUF and PyTorch files become text that no culture changes. What
/// could not be told from other text (arrays, lists, bytes, None, complex numbers) has no place, and what a GGUF file says of its own
/// layout is left behind.
/// </summary>
internal sealed class SafetensorsTarget : ConversionTarget
{
    private readonly Dictionary<string, string> _metadata = [];
    private readonly List<string> _omitted = [];

    public SafetensorsTarget(Checkpoint checkpoint)
    {
        var isGguf = checkpoint.Files[0].Header is GgufHeader;
        foreach (var (key, value) in checkpoint.Metadata)
        {
            if (isGguf && (GgufFileKeys.IsAlignment(key) || GgufFileKeys.IsSplit(key)))
            {
                continue;
            }

            // Ties are the plan's; an entry that is still there was not understood, and its key has another meaning here.
            if (key != SafetensorsTies.MetadataKey && Text(value) is { } text && SafetensorsWriter.CanDescribe(key, text))
            {
                _metadata.Add(key, text);
            }
            else
            {
                _omitted.Add(key);
            }
        }
    }

    public override bool HasTies => true;

    public override bool KeepsBlocks => false;

    public override int MaximumShards => int.MaxValue;

    public override string? Index => ShardNames.Index;

    public override IReadOnlyList<string> OmittedMetadata => _omitted;

    protected override OutputFormat Format => OutputFormat.Safetensors;

    public override string? Objection(OutputTensor tensor) => SafetensorsWriter.Objection(new SafetensorsTensor(tensor.Name, tensor.DType, tensor.Shape));

    public override async Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken) =>
        await SafetensorsWriter.CreateAsync(path, Tensors(plan.Shards[0]), MetadataWith(plan.Shards[0].Ties), overwrite, cancellationToken).ConfigureAwait(false);

    public override async Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken) =>
        await SafetensorsWriter.CreateAsync(
            folder, NameOfShard(shard, plan.Shards.Length), Tensors(plan.Shards[shard]), MetadataWith(plan.Shards[shard].Ties), cancellationToken).ConfigureAwait(false);

    /// <summary>The metadata of a shard.</summary>
    /// <param name="ties">Names that share the bytes of a tensor in it, each with the name of that tensor.</param>
    public IReadOnlyDictionary<string, string> MetadataWith(IReadOnlyDictionary<string, string> ties)
    {
        var metadata = new Dictionary<string, string>(_metadata);
        if (ties.Count > 0)
        {
            metadata[SafetensorsTies.MetadataKey] = SafetensorsTies.Write(ties);
        }

        return metadata;
    }

    private static IEnumerable<SafetensorsTensor> Tensors(OutputShard shard) =>
        shard.Tensors.Select(tensor => new SafetensorsTensor(tensor.Name, tensor.DType, tensor.Shape));

    private static string? Text(object value) => value switch
    {
        string text => text,
        bool truth => truth ? "true" : "false",
        byte or sbyte or ushort or short or uint or int or ulong or long or BigInteger or float or double =>
            Convert.ToString(value, CultureInfo.InvariantCulture),
        _ => null,
    };
}
