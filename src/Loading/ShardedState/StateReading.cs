using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Brings the tensors of a state back as they were, one after the other as they arrive.</summary>
internal sealed class StateReading
{
    private readonly ShardedState _state;
    private readonly Device _device;
    private readonly IStateTarget _target;
    private readonly HashSet<string> _given = new(StringComparer.Ordinal);
    private readonly Dictionary<string, RestoredMemory> _memories = new(StringComparer.Ordinal);
    private readonly Dictionary<RestoredMemory, Dictionary<string, Tensor>> _arrived = new(ReferenceEqualityComparer.Instance);
    private readonly ILookup<string, ShardedTensor> _names;

    private StateReading(ShardedState state, Device device, IStateTarget target)
    {
        (_state, _device, _target) = (state, device, target);
        foreach (var memory in state.Layout.Memories)
        {
            foreach (var view in memory.Views.Where(view => state.Checkpoint.TryGetTensor(view.Name, out var stored) && stored.TiedTo is null))
            {
                _memories.Add(view.Name, memory);
            }
        }

        _names = state.Tensors.ToLookup(tensor => tensor.StoredIn, StringComparer.Ordinal);
    }

    /// <summary>Reads.</summary>
    /// <param name="state">The state.</param>
    /// <param name="options">Where to and how.</param>
    /// <param name="target">Says which tensors, and gets them; only what they need is read.</param>
    /// <param name="progress">Called from the lanes' threads, in order.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <returns>The bytes that were read.</returns>
    /// <remarks>Where tensors are put together into one memory, as strided ones are, what has arrived of it and the memory are there at the same time, of one memory at a time.</remarks>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold what stays and what is there beside it; nothing was read.</exception>
    public static async Task<long> RunAsync(
        ShardedState state, ShardedStateLoadOptions options, IStateTarget target, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var load = options.Load with { Manifest = options.Verify ? state.Manifest?.Tensors : null, SlabBytes = 0 };
        var reading = new StateReading(state, load.Device, target);
        var plan = LoadPlanner.Plan(state.Checkpoint, load, tensor => tensor.TiedTo is null && reading.IsNeeded(tensor.Name));
        StateBudget.ThrowIfTooLarge(plan.MemoryNeeds(reading.BytesOf(plan)));
        try
        {
            await foreach (var (name, tensor) in new CheckpointLoader().StreamAsync(plan, progress, cancellationToken).ConfigureAwait(false))
            {
                reading.Add(name, tensor);
            }

            reading.ThrowIfIncomplete();
            return plan.BytesToRead;
        }
        finally
        {
            foreach (var tensor in reading._arrived.Values.SelectMany(arrived => arrived.Values))
            {
                tensor.Dispose();
            }
        }
    }

    // What lies in one memory comes together.
    private bool IsNeeded(string stored) =>
        _memories.TryGetValue(stored, out var memory) ? memory.Views.Any(view => IsWantedByAnyName(view.Name)) : _names[stored].Any(tensor => _target.IsWanted(tensor.Name));

    private bool IsWantedByAnyName(string name) => _target.IsWanted(name) || _names[name].Any(tensor => _target.IsWanted(tensor.Name));

    // As it will be, with memories that hold nothing.
    private long BytesOf(LoadPlan plan)
    {
        var budget = new StateBudget();
        var arriving = plan.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        foreach (var (name, tensor) in arriving.Where(entry => !_memories.ContainsKey(entry.Key)))
        {
            using var outline = MetaDevice.Shared.Allocate(tensor.ByteLength);
            var (beside, keepsMemory) = WithTensors(ViewsOf(name), outline, 0, _target.Keeps);
            budget.Add(plan.MemoryOf(tensor), null, beside, keepsMemory, waits: false);
        }

        foreach (var memory in _memories.Where(entry => arriving.ContainsKey(entry.Key)).Select(entry => entry.Value).Distinct<RestoredMemory>(ReferenceEqualityComparer.Instance))
        {
            PlannedTensor[] members = [.. memory.Views.Where(view => _memories.ContainsKey(view.Name)).Select(view => arriving[view.Name])];
            using var outline = MetaDevice.Shared.Allocate(memory.ByteLength);
            var (beside, keepsMemory) = WithTensors(ViewsOf(memory), outline, 0, _target.Keeps);
            var isWhole = members.Length == 1 && IsWhole(memory, members[0].Name) && members[0].ByteLength == memory.ByteLength && !members[0].IsMapped;
            budget.Add(members.Sum(plan.MemoryOf), isWhole ? null : memory.ByteLength, beside, keepsMemory, members.Length > 1);
        }

        return budget.Bytes(plan.Options.StreamWindowBytes);
    }

    private void ThrowIfIncomplete()
    {
        string[] missing = [.. _state.Tensors.Where(tensor => _target.IsWanted(tensor.Name) && !_given.Contains(tensor.Name)).Select(tensor => Quoted.Name(tensor.Name))];
        if (missing.Length > 0)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.MetadataInvalid, _state.Folder, $"the files describe {string.Join(", ", missing)}, and have no bytes of {(missing.Length == 1 ? "it" : "them")}. Save the state again.", SafetensorsConstants.Format);
        }
    }

    private void Add(string stored, Tensor tensor)
    {
        if (!_memories.TryGetValue(stored, out var memory))
        {
            using (tensor)
            {
                Give(ViewsOf(stored), tensor.Memory, tensor.ByteOffset);
            }

            return;
        }

        if (!_arrived.TryGetValue(memory, out var arrived))
        {
            _arrived.Add(memory, arrived = new Dictionary<string, Tensor>(StringComparer.Ordinal));
        }

        arrived.Add(stored, tensor);
        if (memory.Views.All(view => arrived.ContainsKey(view.Name) || !_memories.ContainsKey(view.Name)))
        {
            Restore(memory, arrived);
        }
    }

    private void Restore(RestoredMemory memory, Dictionary<string, Tensor> arrived)
    {
        using var storage = StorageOf(memory, arrived);
        foreach (var tensor in arrived.Values)
        {
            tensor.Dispose();
        }

        arrived.Clear();
        Give(ViewsOf(memory), storage, 0);
    }

    private IEnumerable<RestoredView> ViewsOf(string stored) =>
        _names[stored].Where(tensor => _target.IsWanted(tensor.Name)).Select(tensor => new RestoredView(tensor.Name, tensor.DType, tensor.Shape, default, 0));

    private IEnumerable<RestoredView> ViewsOf(RestoredMemory memory) => memory.Views.SelectMany(view => _names[view.Name].Select(tensor => tensor.Name)
        .Append(view.Name).Distinct(StringComparer.Ordinal).Where(name => _target.IsWanted(name) && IsOf(name, view.Name)).Select(name => view with { Name = name }));

    // Of the names that a stored tensor of a memory has, its views have their own place; ties have that of the tensor.
    private bool IsOf(string name, string view) => string.Equals(name, view, StringComparison.Ordinal) || (_state.Checkpoint.TryGetTensor(name, out var tied) && tied.TiedTo == view);

    private DeviceMemory StorageOf(RestoredMemory memory, Dictionary<string, Tensor> arrived)
    {
        // One tensor that has all of it is it.
        if (arrived.Count == 1
            && arrived.Values.First() is { ByteOffset: 0, IsReadOnly: false } only
            && IsWhole(memory, arrived.Keys.First())
            && only.ByteLength == memory.ByteLength
            && only.Memory.Length >= memory.ByteLength)
        {
            only.Memory.AddReference();
            return only.Memory;
        }

        var storage = _device.Allocate(memory.ByteLength);
        try
        {
            using (var all = new Tensor(storage, DType.U8, new Shape(memory.ByteLength)))
            {
                all.Fill([0]);
            }

            // In the order of the state, whichever came first: what overlaps has the same bytes only where the files are as they were saved.
            foreach (var view in memory.Views.Where(view => arrived.ContainsKey(view.Name)))
            {
                var from = arrived[view.Name];
                using var target = new Tensor(storage, view.DType, view.Shape, view.Strides, view.ByteOffset);
                using var source = new Tensor(from.Memory, view.DType, view.Shape, default, from.ByteOffset);
                StateCopies.Copy(source, target);
            }

            return storage;
        }
        catch
        {
            storage.Dispose();
            throw;
        }
    }

    private static bool IsWhole(RestoredMemory memory, string stored) => memory.Views.First(view => view.Name == stored) is { Strides.IsDefault: true, ByteOffset: 0 };

    private void Give(IEnumerable<RestoredView> views, DeviceMemory memory, long begin) => WithTensors(views, memory, begin, tensors =>
    {
        _target.Take(tensors);
        _given.UnionWith(tensors.Select(entry => entry.Key));
        return tensors.Count;
    });

    private static T WithTensors<T>(IEnumerable<RestoredView> views, DeviceMemory memory, long begin, Func<IReadOnlyList<KeyValuePair<string, Tensor>>, T> use)
    {
        var tensors = new List<KeyValuePair<string, Tensor>>();
        try
        {
            foreach (var view in views)
            {
                tensors.Add(KeyValuePair.Create(view.Name, new Tensor(memory, view.DType, view.Shape, view.Strides, checked(begin + view.ByteOffset))));
            }

            return use(tensors);
        }
        finally
        {
            tensors.ForEach(entry => entry.Value.Dispose());
        }
    }
}
