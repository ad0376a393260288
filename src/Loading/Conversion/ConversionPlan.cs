using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
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

    /// <summary>Tensors of which a rank's share is written, ties not counted.</summary>
    public int SlicedCount => Tensors.Count(tensor => tensor.IsSliced);

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
        CheckShardBytes(options.MaximumShardBytes);
        if (options.DType is { } dtype && !Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException($"Nothing is converted to {dtype.Name}.", nameof(options));
        }

        options.TensorParallel?.Validate(nameof(options));
        var chosen = Choose(checkpoint, options);
        RefuseWhatCannotBeWritten(checkpoint, target, options, chosen);
        var (tensors, ties, duplicates) = SeparateTies(target, options, chosen);
        var maximum = intoFolder ? options.MaximumShardBytes ?? ConversionOptions.DefaultMaximumShardBytes : long.MaxValue;
        var shards = Split(tensors, ties, maximum);
        if (shards.Length > target.MaximumShards)
        {
            throw new ArgumentException(
                $"The tensors would take {shards.Length} shards, and {target.Name} has {target.MaximumShards} at most: allow larger ones.", nameof(options));
        }

        ThrowIfOneFileIsTooLarge(intoFolder, options.MaximumShardBytes, shards[0].ByteLength);
        return new ConversionPlan(shards, duplicates);
    }

    /// <summary>Checks the size of shards that is asked for.</summary>
    /// <exception cref="ArgumentException">It is less than a byte.</exception>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The options that it is of are what the caller was given.")]
    public static void CheckShardBytes(long? maximum)
    {
        if (maximum is < 1)
        {
            throw new ArgumentException($"A shard must hold at least one byte, not {maximum}.", "options");
        }
    }

    /// <summary>Checks that what goes into one file is no larger than a shard that was asked for.</summary>
    /// <exception cref="ArgumentException">It is.</exception>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The options that it is of are what the caller was given.")]
    public static void ThrowIfOneFileIsTooLarge(bool intoFolder, long? maximum, long byteLength)
    {
        if (!intoFolder && byteLength > maximum)
        {
            throw new ArgumentException(
                $"The tensors take {byteLength} bytes, more than a shard of {maximum}: give a folder as output, which can hold several.", "options");
        }
    }

    private static DType TargetOf(TensorInfo tensor, ConversionOptions options) =>
        options.DType is { } target && tensor.DType.HoldsFloats ? target : tensor.DType;

    // What is written of each tensor, and under which name.
    private static OutputTensor[] Choose(Checkpoint checkpoint, ConversionOptions options)
    {
        var chosen = checkpoint.Tensors.Where(tensor => options.Choice.Includes(tensor.Name));
        var names = options.Names?.MapAll(chosen.Select(tensor => tensor.Name)).ToDictionary(entry => entry.Name, entry => entry.Mapped, StringComparer.Ordinal);
        var rule = options.TensorParallel is { } parallel ? new ParallelRule(parallel, checkpoint) : null;
        var tensors = new List<OutputTensor>();
        foreach (var tensor in chosen)
        {
            if ((names is null ? tensor.Name : names.GetValueOrDefault(tensor.Name)) is { } name)
            {
                var slice = rule?.SliceOf(name == tensor.Name ? tensor : tensor.WithName(name, null));
                tensors.Add(OutputTensor.Of(tensor, TargetOf(tensor, options), slice) with { Name = name });
            }
        }

        return [.. tensors];
    }

    private static void RefuseWhatCannotBeWritten(
        Checkpoint checkpoint, ConversionTarget target, ConversionOptions options, OutputTensor[] tensors)
    {
        var refused = new List<(OutputTensor Tensor, string Reason)>();
        foreach (var tensor in tensors)
        {
            if (target.Objection(tensor) is { } objection)
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
            entry.Tensor.Source.DType.HoldsFloats && target.Objection(entry.Tensor with { DType = DType.F32 }) is null);
        var advice = helps ? $"choose {(options.DType is null ? "a" : "another")} --dtype that it can hold, " : "";
        if (refused.Exists(entry => entry.Tensor.Source.DType.IsBlock) && options.DType is null && !target.KeepsBlocks)
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
        ConversionTarget target, ConversionOptions options, OutputTensor[] chosen)
    {
        var written = new Dictionary<(ElementPlace Place, Shape Stored, Shape Shape, long Skipped), string>();
        var tensors = new List<OutputTensor>(chosen.Length);
        var ties = new Dictionary<string, List<string>>();
        var duplicates = new List<OutputTensor>();
        foreach (var tensor in chosen)
        {
            var storage = (ElementPlace.Of(tensor.Source), tensor.Source.Shape, tensor.Shape, tensor.SkippedElements);
            // Tensors without bytes may begin at one offset and share nothing.
            if (tensor.Source.ElementCount == 0 || options.DuplicateTies || written.TryAdd(storage, tensor.Name))
            {
                tensors.Add(tensor);
            }
            else if (!target.HasTies)
            {
                tensors.Add(tensor);
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

    private static ImmutableArray<OutputShard> Split(List<OutputTensor> tensors, Dictionary<string, List<string>> ties, long maximum) =>
    [
        .. ShardSplit.Of(tensors, tensor => tensor.ByteLength, maximum).Select(shard =>
        {
            var aliases = shard.SelectMany(tensor => ties.GetValueOrDefault(tensor.Name, []).Select(alias => KeyValuePair.Create(alias, tensor.Name)));
            return new OutputShard(shard, aliases.ToImmutableSortedDictionary(StringComparer.Ordinal));
        }),
    ];
}
