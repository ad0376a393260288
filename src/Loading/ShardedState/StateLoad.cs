using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Brings a state into a model: what has storage is written, what has none gets it when all has arrived. Tensors share memory where they share it in the model; what the state shares beyond that is copied. For one load.
/// </summary>
internal sealed class StateLoad : IStateTarget, IDisposable
{
    // Allocators align to this (CUDA's to 256), and what lay in a memory that is copied lies as it did.
    private const long Alignment = 256;

    private readonly ModelState _model;
    private readonly StateFit _fit;
    private readonly Device _device;
    // By the tensor of the model that they replace.
    private readonly Dictionary<Tensor, Tensor> _made = new(ReferenceEqualityComparer.Instance);
    // Tensors of the model that are parts of one that is filled, by themselves.
    private readonly Dictionary<Tensor, Tensor> _wholes = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Tensor> _divided = new(ReferenceEqualityComparer.Instance);
    private bool _given;

    public StateLoad(ModelState model, StateFit fit, Device device)
    {
        (_model, _fit, _device) = (model, fit, device);
        var filled = fit.Targets.Values.Select(entry => entry.Tensor).ToHashSet(ReferenceEqualityComparer.Instance);
        var covering = model.Entries.Where(entry => filled.Contains(entry.Tensor) && entry is { IsMeta: true, Tensor.IsContiguous: true }).Select(entry => entry.Tensor)
            .Distinct<Tensor>(ReferenceEqualityComparer.Instance).ToLookup<Tensor, object>(tensor => tensor.Memory, ReferenceEqualityComparer.Instance);
        foreach (var part in model.Entries.Where(entry => entry is { IsMeta: true, Tensor.ElementCount: > 0 } && !filled.Contains(entry.Tensor)).Select(entry => entry.Tensor))
        {
            if (covering[part.Memory].FirstOrDefault(whole => ByteRange.Of(whole).Covers(ByteRange.Of(part))) is { } whole)
            {
                _wholes[part] = whole;
                _ = _divided.Add(whole);
            }
        }
    }

    /// <inheritdoc/>
    public bool IsWanted(string name) => _fit.Targets.ContainsKey(name);

    /// <inheritdoc/>
    public (long Beside, bool KeepsMemory) Keeps(IReadOnlyList<KeyValuePair<string, Tensor>> tensors)
    {
        var groups = GroupsOf(tensors);
        long beside = 0;
        foreach (var (name, tensor) in tensors)
        {
            if (TargetOf(name) is { Device.Kind: DeviceKind.Meta } target && IsCopied(target, tensor))
            {
                beside = checked(beside + ByteRange.Of(target).Length);
            }
        }

        return (checked(beside + groups.Where(group => !group.KeepsMemory).Sum(group => group.Range.End - Aligned(group.Range))), groups.Exists(group => group.KeepsMemory));
    }

    /// <inheritdoc/>
    public void Take(IReadOnlyList<KeyValuePair<string, Tensor>> tensors)
    {
        foreach (var (name, tensor) in tensors)
        {
            var target = TargetOf(name);
            if (target.Device.Kind != DeviceKind.Meta)
            {
                StateCopies.CopyNarrowed(tensor, target);
            }
            else if (IsCopied(target, tensor))
            {
                var made = Tensor.EmptyStrided(target.DType, target.Shape, target.Strides, _device);
                _made.Add(target, made);
                StateCopies.CopyNarrowed(tensor, made);
            }
        }

        foreach (var (range, keeps, members) in GroupsOf(tensors))
        {
            if (keeps)
            {
                members.ForEach(member => _made.Add(member.Target, member.Tensor.On(member.Tensor.Device)));
                continue;
            }

            var begin = Aligned(range);
            using var memory = _device.Allocate(range.End - begin);
            using (var to = new Tensor(memory, DType.U8, new Shape(range.Length), default, range.Begin - begin))
            using (var from = new Tensor(members[0].Tensor.Memory, DType.U8, new Shape(range.Length), default, range.Begin))
            {
                to.CopyFrom(from);
            }

            members.ForEach(member => _made.Add(member.Target, new Tensor(memory, member.Tensor.DType, member.Tensor.Shape, member.Tensor.Strides, member.Tensor.ByteOffset - begin)));
        }
    }

    /// <summary>Gives the model its storage; to what shares memory in the model, and to what has no elements too.</summary>
    public void Give()
    {
        foreach (var entry in _model.Entries.Where(entry => entry.IsMeta && !_made.ContainsKey(entry.Tensor)))
        {
            if (entry.Tensor.ElementCount == 0)
            {
                _made.Add(entry.Tensor, Tensor.Empty(entry.Tensor.DType, entry.Tensor.Shape, _device));
            }
            else if (_wholes.TryGetValue(entry.Tensor, out var whole))
            {
                _made.Add(entry.Tensor, StateCopies.ViewOf(entry.Tensor, whole, _made[whole]));
            }
        }

        _model.Replace(_made);
        _given = true;
    }

    /// <summary>Frees what has arrived, unless the model has it.</summary>
    public void Dispose()
    {
        if (!_given)
        {
            foreach (var tensor in _made.Values)
            {
                tensor.Dispose();
            }
        }
    }

    private static long Aligned(ByteRange range) => range.Begin / Alignment * Alignment;

    private Tensor TargetOf(string name) => _fit.Targets[name].Tensor;

    // What is of another type or shape; and what lies otherwise, where the model says how: the state says it of strides alone.
    private bool IsCopied(Tensor target, Tensor tensor) =>
        target.Device.Kind != DeviceKind.Meta
        || tensor.DType != target.DType
        || tensor.Shape != target.Shape
        || (tensor.IsContiguous ? !target.IsContiguous : _divided.Contains(target));

    // What shares memory in the model too. One group that reaches all of it keeps it; the others are copied out.
    private List<(ByteRange Range, bool KeepsMemory, List<(Tensor Target, Tensor Tensor)> Members)> GroupsOf(IReadOnlyList<KeyValuePair<string, Tensor>> tensors)
    {
        var groups = tensors.Select(entry => (Target: TargetOf(entry.Key), Tensor: entry.Value)).Where(entry => !IsCopied(entry.Target, entry.Tensor))
            .GroupBy<(Tensor Target, Tensor Tensor), object>(entry => entry.Target.Memory, ReferenceEqualityComparer.Instance).Select(group => (Range: RangeOf(group), Members: group.ToList())).ToList();
        if (groups.Count == 0)
        {
            return [];
        }

        var all = new ByteRange(groups.Min(group => group.Range.Begin), groups.Max(group => group.Range.End));
        var keeping = groups.FindIndex(group => group.Range == all);
        return [.. groups.Select((group, i) => (group.Range, i == keeping, group.Members))];
    }

    private static ByteRange RangeOf(IEnumerable<(Tensor Target, Tensor Tensor)> members)
    {
        var ranges = members.Select(member => ByteRange.Of(member.Tensor)).ToArray();
        return new ByteRange(ranges.Min(range => range.Begin), ranges.Max(range => range.End));
    }
}
