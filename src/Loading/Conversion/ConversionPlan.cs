using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a conversion writes where: dtypes, ties and shards, decided before a byte is read. Immutable.</summary>
internal sealed class ConversionPlan
{
    // Names in a message about many tensors: enough to see which kind they are.
    private const int NamesShown = 5;

    private ConversionPlan(ImmutableArray<OutputShard> shards, IReadOnlyList<OutputTensor> duplicates)
    {
        Shards = shards;
        (SeparatedCount, SeparatedBytes) = SeparatedViews.Count(Tensors.Except(duplicates));
        DuplicateCount = duplicates.Count;
        DuplicateBytes = duplicates.Sum(tensor => tensor.ByteLength);
    }

    /// <summary>The files to write, at least one.</summary>
    public ImmutableArray<OutputShard> Shards { get; }

    public IEnumerable<OutputTensor> Tensors => Shards.SelectMany(shard => shard.Tensors);

    public int TensorCount => Shards.Sum(shard => shard.Tensors.Length);

    public int TieCount => Shards.Sum(shard => shard.Ties.Count);

    /// <summary>Tensors that share the bytes of another and are written in full, since the format has no ties.</summary>
    public int DuplicateCount { get; }

    public long DuplicateBytes { get; }

    /// <summary>Tensors that share elements of a storage, not all or not in one order, and are each written by themselves.</summary>
    public int SeparatedCount { get; }

    /// <summary>The bytes that this adds: of elements that are written more than once.</summary>
    public long SeparatedBytes { get; }

    public long BytesToRead => Tensors.Sum(tensor => tensor.Source.DataByteLength);

    public long BytesToWrite => Tensors.Sum(tensor => tensor.ByteLength);

    /// <summary>Makes the plan.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="target">What is written into.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="intoFolder">Whether the output is a folder, which may have several shards.</param>
    /// <exception cref="ArgumentException">An option is out of range, or one file would exceed the shard size.</exception>
    /// <exception cref="UnsupportedCheckpointException">Tensors cannot be written; the message names them.</exception>
    public static ConversionPlan Make(Checkpoint checkpoint, ConversionTarget target, ConversionOptions options, bool intoFolder)
    {
        if (options.MaximumShardBytes is < 1)
        {
            throw new ArgumentException($"A shard must hold at least one byte, not {options.MaximumShardBytes}.", nameof(options));
        }

        if (options.DType is { } dtype && !Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException($"Nothing is converted to {dtype.Name}.", nameof(options));
        }

        var chosen = checkpoint.Tensors.Where(tensor => options.Choice.Includes(tensor.Name)).ToArray();
        RefuseWhatCannotBeWritten(checkpoint, target, options, chosen);
        var (tensors, ties, duplicates) = SeparateTies(target, options, chosen);
        var maximum = intoFolder ? options.MaximumShardBytes ?? ConversionOptions.DefaultMaximumShardBytes : long.MaxValue;
        var shards = Split(tensors, ties, maximum);
        if (shards.Length > target.MaximumShards)
        {
            throw new ArgumentException(
                $"The tensors would take {shards.Length} shards, and {target.Name} has {target.MaximumShards} at most: allow larger ones.", nameof(options));
        }

        return intoFolder || options.MaximumShardBytes is not { } limit || shards[0].ByteLength <= limit
            ? new ConversionPlan(shards, duplicates)
            : throw new ArgumentException(
                $"The tensors take {shards[0].ByteLength} bytes, more than a shard of {limit}: give a folder as output, which can hold several.",
                nameof(options));
    }

    private static DType TargetOf(TensorInfo tensor, ConversionOptions options) =>
        options.DType is { } target && tensor.DType.HoldsFloats ? target : tensor.DType;

    private static void RefuseWhatCannotBeWritten(
        Checkpoint checkpoint, ConversionTarget target, ConversionOptions options, TensorInfo[] tensors)
    {
        var refused = new List<(TensorInfo Tensor, string Reason)>();
        foreach (var tensor in tensors)
        {
            if (target.Objection(tensor, TargetOf(tensor, options)) is { } objection)
            {
                refused.Add((tensor, objection));
            }
        }

        if (refused.Count == 0)
        {
            return;
        }

        var names = string.Join(", ", refused.Take(NamesShown).Select(entry => $"{Quoted.Name(entry.Tensor.Name)} ({entry.Reason})"));
        var more = refused.Count > NamesShown ? $" and {refused.Count - NamesShown} more" : "";
        // Names, dimensions and integers stay what they are, whatever is asked for.
        var helps = refused.Exists(entry =>
            entry.Tensor.DType.HoldsFloats && target.Objection(entry.Tensor, DType.F32) is null);
        var advice = helps ? $"choose {(options.DType is null ? "a" : "another")} --dtype that it can hold, " : "";
        if (refused.Exists(entry => entry.Tensor.DType.IsBlock) && options.DType is null && !target.KeepsBlocks)
        {
            advice += "write GGUF, which keeps blocks (OUT.gguf, or --format gguf), ";
        }

        advice += advice.Length > 0 ? "or " : "";
        throw new UnsupportedCheckpointException(
            "conversion",
            checkpoint.Path,
            $"{(refused.Count == 1 ? "one tensor" : $"{refused.Count} tensors")} cannot be written to {target.OneFile} by this version: "
            + $"{names}{more}; {advice}leave them out with --exclude.",
            checkpoint.Format);
    }

    // Tensors tie where they are the same bytes seen in the same way; the first in the order of the checkpoint is written.
    private static (List<OutputTensor> Tensors, Dictionary<string, List<string>> Ties, List<OutputTensor> Duplicates) SeparateTies(
        ConversionTarget target, ConversionOptions options, TensorInfo[] chosen)
    {
        var written = new Dictionary<(ElementPlace Place, Shape Shape), string>();
        var tensors = new List<OutputTensor>(chosen.Length);
        var ties = new Dictionary<string, List<string>>();
        var duplicates = new List<OutputTensor>();
        foreach (var tensor in chosen)
        {
            var storage = (ElementPlace.Of(tensor), tensor.Shape);
            // Tensors without bytes may begin at one offset and share nothing.
            if (tensor.ElementCount == 0 || options.DuplicateTies || written.TryAdd(storage, tensor.Name))
            {
                tensors.Add(new OutputTensor(tensor, TargetOf(tensor, options)));
            }
            else if (!target.HasTies)
            {
                tensors.Add(new OutputTensor(tensor, TargetOf(tensor, options)));
                duplicates.Add(tensors[^1]);
            }
            else if (ties.TryGetValue(written[storage], out var aliases))
            {
                aliases.Add(tensor.Name);
            }
            else
            {
                ties.Add(written[storage], [tensor.Name]);
            }
        }

        return (tensors, ties, duplicates);
    }

    // In the order of the checkpoint, a new shard where the next tensor would exceed the size: what transformers does.
    private static ImmutableArray<OutputShard> Split(List<OutputTensor> tensors, Dictionary<string, List<string>> ties, long maximum)
    {
        var shards = ImmutableArray.CreateBuilder<OutputShard>();
        var current = ImmutableArray.CreateBuilder<OutputTensor>();
        long bytes = 0;
        foreach (var tensor in tensors)
        {
            if (current.Count > 0 && tensor.ByteLength > maximum - bytes)
            {
                Close();
            }

            current.Add(tensor);
            bytes = checked(bytes + tensor.ByteLength);
        }

        if (current.Count > 0 || shards.Count == 0)
        {
            Close();
        }

        return shards.ToImmutable();

        void Close()
        {
            var aliases = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
            foreach (var tensor in current)
            {
                foreach (var alias in ties.GetValueOrDefault(tensor.Name, []))
                {
                    aliases.Add(alias, tensor.Name);
                }
            }

            shards.Add(new OutputShard(current.DrainToImmutable(), aliases.ToImmutable()));
            bytes = 0;
        }
    }
}
