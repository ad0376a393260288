using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Writes a model's parameters: a window of them is loaded, written and freed, then the next. For one conversion.</summary>
internal sealed class ModelConversion
{
    // What is written between two looks at the token.
    private const int WriteBytes = 8 << 20;

    // Names in a message about many parameters: enough to see which kind they are.
    private const int NamesShown = 5;

    private readonly RecordedModule _recorded;
    private readonly ModelConversionOptions _options;
    private readonly SafetensorsTarget _target;
    private readonly ImmutableArray<ImmutableArray<WrittenParameter>> _shards;
    private readonly ILookup<string, string> _aliases;

    /// <summary>Decides what is written where.</summary>
    /// <param name="recorded">The model, and what goes into it.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="intoFolder">Whether the output is a folder, which may have several shards.</param>
    /// <exception cref="ArgumentException">One file would exceed the shard size.</exception>
    /// <exception cref="UnsupportedCheckpointException">Parameters cannot be written; the message names them.</exception>
    public ModelConversion(RecordedModule recorded, ModelConversionOptions options, bool intoFolder)
    {
        (_recorded, _options, _target) = (recorded, options, new SafetensorsTarget(recorded.Checkpoint));
        var (written, aliases) = Choose();
        _aliases = aliases.ToLookup(alias => alias.Of, alias => alias.Name, StringComparer.Ordinal);
        TieCount = aliases.Count;
        var limit = intoFolder ? options.MaximumShardBytes ?? ConversionOptions.DefaultMaximumShardBytes : long.MaxValue;
        _shards = ShardSplit.Of(written, parameter => parameter.ByteLength, limit);
        ConversionPlan.ThrowIfOneFileIsTooLarge(intoFolder, options.MaximumShardBytes, BytesToWrite);
    }

    /// <summary>Parameters to write, ties not counted.</summary>
    public int ParameterCount => _shards.Sum(shard => shard.Length);

    public int TieCount { get; }

    public long BytesToWrite => _shards.Sum(shard => shard.Sum(parameter => parameter.ByteLength));

    /// <summary>How many windows were loaded so far.</summary>
    public int Batches { get; private set; }

    /// <summary>What was read so far.</summary>
    public long BytesRead { get; private set; }

    public IReadOnlyList<string> OmittedMetadata => _target.OmittedMetadata;

    /// <summary>The base names of the shards in a folder.</summary>
    public ImmutableArray<string> FileNames => [.. _shards.Select((_, i) => _target.NameOfShard(i, _shards.Length))];

    /// <summary>The names that the index lists, each with its shard.</summary>
    public IEnumerable<KeyValuePair<string, string>> Index(ImmutableArray<string> shards) =>
        _shards.SelectMany((shard, i) => shard.Select(parameter => KeyValuePair.Create(parameter.Name, shards[i])));

    /// <summary>Writes every shard.</summary>
    /// <param name="create">Begins the file of a shard, by its number from 0, with what is in it and its metadata; called once a shard, in order.</param>
    /// <param name="progress">Bytes and parameters that are written.</param>
    /// <param name="cancellationToken">Ends the work within one slot, one piece that is written, or one forcing to disk.</param>
    public async Task RunAsync(
        Func<int, IEnumerable<SafetensorsTensor>, IReadOnlyDictionary<string, string>, Task<SafetensorsWriter>> create,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        var tally = new ProgressTally(progress, BytesToWrite, ParameterCount);
        for (var i = 0; i < _shards.Length; i++)
        {
            var shard = _shards[i];
            var ties = shard.SelectMany(parameter => _aliases[parameter.Name].Select(alias => KeyValuePair.Create(alias, parameter.Name)));
            var writer = await create(
                i,
                shard.Select(parameter => new SafetensorsTensor(parameter.Name, parameter.DType, parameter.Shape)),
                _target.MetadataWith(ties.ToDictionary(StringComparer.Ordinal))).ConfigureAwait(false);
            await using (writer.ConfigureAwait(false))
            {
                foreach (var batch in ShardSplit.Of(shard, parameter => parameter.ByteLength, _options.WindowBytes))
                {
                    await WriteAsync(batch, writer, tally, cancellationToken).ConfigureAwait(false);
                }

                await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task WriteAsync(ImmutableArray<WrittenParameter> batch, SafetensorsWriter writer, ProgressTally tally, CancellationToken cancellationToken)
    {
        // One that is written under several names is loaded once.
        var plan = _recorded.PlanOf([.. batch.Select(parameter => parameter.Index).Distinct()]);
        try
        {
            await new ModuleLoader().LoadAsync(plan, null, cancellationToken).ConfigureAwait(false);
            Batches++;
            BytesRead += plan.Reads.BytesToRead + plan.ValueBytes;
            foreach (var parameter in batch)
            {
                Write(parameter, _recorded.Entries[parameter.Index].Parameter.Data, writer, tally, cancellationToken);
            }
        }
        finally
        {
            foreach (var (_, parameter) in plan.Entries.Where(entry => !entry.Parameter.IsMeta))
            {
                parameter.SetData(Tensor.Empty(parameter.DType, parameter.Shape, MetaDevice.Shared));
            }
        }
    }

    private static void Write(WrittenParameter parameter, Tensor data, SafetensorsWriter writer, ProgressTally tally, CancellationToken cancellationToken)
    {
        if (data.DType != parameter.DType || data.Shape != parameter.Shape)
        {
            throw new InvalidOperationException(
                $"A loader has made parameter {parameter.Name} {data.DType.Name} {data.Shape}, and it was {parameter.DType.Name} {parameter.Shape}: such parameters cannot be written.");
        }

        using var copy = data.IsContiguous ? null : Tensor.Empty(data.DType, data.Shape, data.Device);
        copy?.CopyFrom(data);
        var memory = (HostMemory)(copy ?? data).Memory;
        var start = (copy ?? data).ByteOffset;
        long done = 0;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = (int)Math.Min(WriteBytes, parameter.ByteLength - done);
            writer.Write(parameter.Name, done, memory.AsReadOnlySpan(start + done, length));
            done += length;
            tally.Add(length, done == parameter.ByteLength);
        }
        while (done < parameter.ByteLength);
    }

    // What is written under which name, and the further names of what is. Parameters that need not be there and that nothing fills are left out.
    private (List<WrittenParameter> Written, List<(string Name, string Of)> Aliases) Choose()
    {
        var numbers = _recorded.Entries.Select((entry, i) => (entry, i)).ToDictionary(entry => entry.entry.Parameter, entry => entry.i);
        var (written, aliases, refused) = (new List<WrittenParameter>(), new List<(string, string)>(), new List<string>());
        foreach (var (name, parameter) in NamesOf(_recorded.Module, "", []))
        {
            var index = numbers[parameter];
            var planned = _recorded.Parameters[index];
            if (!planned.HasStorage)
            {
                continue;
            }

            if (name != planned.Name && !_options.DuplicateTies)
            {
                aliases.Add((name, planned.Name));
                continue;
            }

            written.Add(new WrittenParameter(name, index, planned.DType, planned.Shape));
            if (SafetensorsWriter.Objection(new SafetensorsTensor(name, planned.DType, planned.Shape)) is { } objection)
            {
                refused.Add($"{Quoted.Name(name)} ({objection})");
            }
        }

        return refused.Count == 0
            ? (written, aliases)
            : throw new UnsupportedCheckpointException(
                "conversion",
                _recorded.Checkpoint.Path,
                $"{(refused.Count == 1 ? "one parameter" : $"{refused.Count} parameters")} cannot be written to a safetensors file by this version: "
                + $"{string.Join(", ", refused.Take(NamesShown))}{(refused.Count > NamesShown ? $" and {refused.Count - NamesShown} more" : "")}; "
                + "choose another --dtype for the model.",
                _recorded.Checkpoint.Format);
    }

    // In the order of the model, with every name of what it has at several places.
    private static IEnumerable<(string Name, Parameter Parameter)> NamesOf(Module module, string prefix, ImmutableHashSet<Module> above)
    {
        foreach (var (name, parameter) in module.Parameters)
        {
            yield return (prefix + name, parameter);
        }

        // A module that has itself somewhere below would have names without end.
        var here = above.Add(module);
        foreach (var entry in module.Children.Where(child => !here.Contains(child.Value)).SelectMany(child => NamesOf(child.Value, $"{prefix}{child.Key}.", here)))
        {
            yield return entry;
        }
    }
}
