using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Which tensors of a model are written into which part of its state, and what restores the others. Immutable; valid while nobody changes the model.</summary>
internal sealed class SavePlan
{
    // Allocators align to this (CUDA's to 256), and tensors in a memory that is restored lie as they did.
    private const long Alignment = 256;

    private SavePlan(ImmutableArray<ImmutableArray<StateTensor>> parts, ImmutableArray<IReadOnlyDictionary<string, string>> metadata, int restoredCount)
    {
        (Parts, Metadata, RestoredCount) = (parts, metadata, restoredCount);
        ByteLength = parts.Sum(part => part.Sum(tensor => tensor.ByteLength));
    }

    /// <summary>The tensors of each part, in the order of the state; no part without any.</summary>
    public ImmutableArray<ImmutableArray<StateTensor>> Parts { get; }

    /// <summary>The metadata of each part.</summary>
    public ImmutableArray<IReadOnlyDictionary<string, string>> Metadata { get; }

    /// <summary>How many names are not written, since others have their bytes.</summary>
    public int RestoredCount { get; }

    /// <summary>The size of all tensors in bytes.</summary>
    public long ByteLength { get; }

    /// <summary>Plans.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">What is wanted.</param>
    /// <exception cref="InvalidOperationException">The model has no tensors with elements, or a required one without storage; the message names them all.</exception>
    /// <exception cref="UnsupportedCheckpointException">A name is none that safetensors allows.</exception>
    public static SavePlan Of(Module model, ShardedStateSaveOptions options)
    {
        var state = ModelState.Of(model);
        ThrowIfIncomplete(state);
        KeyValuePair<string, Tensor>[] all = [.. state.Entries.Where(entry => entry.Tensor is { ElementCount: > 0, Device.Kind: not DeviceKind.Meta })
            .Select(entry => KeyValuePair.Create(entry.Name, entry.Tensor))];
        if (all.Length == 0)
        {
            throw new InvalidOperationException("The model has no tensor with elements: there is no state to save. Load its weights first.");
        }

        if (all.FirstOrDefault(entry => !SafetensorsWriter.CanName(entry.Key)) is { Key: not null } unnamed)
        {
            throw new UnsupportedCheckpointException("saving the state", null, "its name is none that a safetensors file allows; rename it.", SafetensorsConstants.Format, unnamed.Key);
        }

        var kept = SubtensorFilter.Filter(all);
        var layouts = new Layouts(all, [.. kept.Select(entry => entry.Key)]);
        var parts = ShardSplit.Of(kept.Select(entry => new StateTensor(entry.Key, entry.Value)), tensor => tensor.ByteLength, options.MaximumPartBytes ?? long.MaxValue);
        var metadata = ImmutableArray.CreateBuilder<IReadOnlyDictionary<string, string>>();
        foreach (var (number, part) in parts.Index())
        {
            var layout = layouts.Of(part);
            if (number == 0)
            {
                layout = layout with
                {
                    ProcessedFor = options.IsProcessed ? options.ModelDType : null,
                    Methods = state.Methods,
                };
            }

            var entries = new Dictionary<string, string>(StringComparer.Ordinal);
            if (!layout.IsEmpty)
            {
                entries.Add(FormattableString.Invariant($"{StateLayout.MetadataKey}{number}"), layout.Write());
            }

            if (layouts.TiesOf(part) is { Count: > 0 } ties)
            {
                entries.Add(SafetensorsTies.MetadataKey, SafetensorsTies.Write(ties));
            }

            metadata.Add(entries);
        }

        return new SavePlan(parts, metadata.ToImmutable(), all.Length - kept.Length);
    }

    /// <summary>What a tensor is in its file: itself, or its bytes where safetensors has no name for its type.</summary>
    public static SafetensorsTensor InFile(StateTensor tensor) =>
        tensor.Tensor.DType.IsSafetensors
            ? new SafetensorsTensor(tensor.Name, tensor.Tensor.DType, tensor.Tensor.Shape)
            : new SafetensorsTensor(tensor.Name, DType.U8, new Shape(tensor.ByteLength));

    private static void ThrowIfIncomplete(ModelState state)
    {
        string[] missing = [.. state.Entries.Where(entry => entry is { IsRequired: true, Tensor: { Device.Kind: DeviceKind.Meta, ElementCount: > 0 } }).Select(entry => Quoted.Name(entry.Name))];
        if (missing.Length > 0)
        {
            throw new InvalidOperationException(
                $"{(missing.Length == 1 ? "One tensor of the model has" : $"{missing.Length} tensors of the model have")} no storage, and so no values to save: {string.Join(", ", missing)}. Load the weights first.");
        }
    }

    // What lies over one another in a memory belongs together; what lies beside it there (slabs) does not.
    private sealed class Layouts
    {
        private readonly Dictionary<string, RestoredMemory> _memories = new(StringComparer.Ordinal);
        private readonly Dictionary<string, RestoredView> _stored = new(StringComparer.Ordinal);
        private readonly ILookup<string, string> _ties;

        public Layouts(KeyValuePair<string, Tensor>[] all, HashSet<string> kept)
        {
            var ties = new List<(string Alias, string Of)>();
            foreach (var memory in Enumerable.Range(0, all.Length).GroupBy(i => all[i].Value.Memory, ReferenceEqualityComparer.Instance))
            {
                var members = new List<int>();
                long end = 0;
                foreach (var i in memory.OrderBy(i => ByteRange.Of(all[i].Value).Begin))
                {
                    var range = ByteRange.Of(all[i].Value);
                    if (members.Count > 0 && range.Begin >= end)
                    {
                        Add(all, members, kept, ties);
                        members.Clear();
                    }

                    end = members.Count == 0 ? range.End : Math.Max(end, range.End);
                    members.Add(i);
                }

                Add(all, members, kept, ties);
            }

            _ties = ties.ToLookup(tie => tie.Of, tie => tie.Alias, StringComparer.Ordinal);
        }

        public StateLayout Of(ImmutableArray<StateTensor> part) => new()
        {
            Memories = [.. part.Where(tensor => _memories.ContainsKey(tensor.Name)).Select(tensor => _memories[tensor.Name])],
            Stored = StateLayout.Empty.Stored.AddRange(part.Where(tensor => _stored.ContainsKey(tensor.Name)).Select(tensor => KeyValuePair.Create(tensor.Name, _stored[tensor.Name]))),
        };

        public Dictionary<string, string> TiesOf(ImmutableArray<StateTensor> part) =>
            part.SelectMany(tensor => _ties[tensor.Name].Select(alias => KeyValuePair.Create(alias, tensor.Name))).ToDictionary(StringComparer.Ordinal);

        private void Add(KeyValuePair<string, Tensor>[] all, List<int> members, HashSet<string> kept, List<(string Alias, string Of)> ties)
        {
            members.Sort();
            // In the order of the state; the first that is written says where it is described.
            var main = all[members.First(i => kept.Contains(all[i].Key))];
            if (members.TrueForAll(i => IsTie(all[i].Value, main.Value)))
            {
                ties.AddRange(members.Where(i => all[i].Key != main.Key).Select(i => (all[i].Key, main.Key)));
                if (!main.Value.DType.IsSafetensors)
                {
                    _stored.Add(main.Key, new RestoredView(main.Key, main.Value.DType, main.Value.Shape, default, 0));
                }

                return;
            }

            var begin = members.Min(i => ByteRange.Of(all[i].Value).Begin) / Alignment * Alignment;
            var end = members.Max(i => ByteRange.Of(all[i].Value).End);
            _memories.Add(main.Key, new RestoredMemory(end - begin, [.. members.Select(i => ViewOf(all[i], begin))]));
        }

        private static RestoredView ViewOf(KeyValuePair<string, Tensor> entry, long begin)
        {
            var (name, tensor) = entry;
            return new RestoredView(name, tensor.DType, tensor.Shape, tensor.IsContiguous ? default : tensor.Strides, tensor.ByteOffset - begin);
        }

        private static bool IsTie(Tensor tensor, Tensor main) =>
            tensor.IsContiguous && main.IsContiguous && tensor.DType == main.DType && tensor.Shape == main.Shape && tensor.ByteOffset == main.ByteOffset;
    }
}
