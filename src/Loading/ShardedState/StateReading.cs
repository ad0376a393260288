using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Brings the tensors of a state back as they were, one after the other as they arrive.</summary>
internal sealed class StateReading
{
    private readonly ShardedState _state;
    private readonly Device _device;
    private readonly Func<string, bool> _isWanted;
    private readonly Action<string, Tensor> _take;
    private readonly Dictionary<string, RestoredMemory> _memories = new(StringComparer.Ordinal);
    private readonly Dictionary<RestoredMemory, Dictionary<string, Tensor>> _arrived = new(ReferenceEqualityComparer.Instance);
    private readonly ILookup<string, ShardedTensor> _names;

    private StateReading(ShardedState state, Device device, Func<string, bool> isWanted, Action<string, Tensor> take)
    {
        (_state, _device, _isWanted, _take) = (state, device, isWanted, take);
        foreach (var memory in state.Layout.Memories)
        {
            foreach (var view in memory.Views.Where(view => state.Checkpoint.TryGetTensor(view.Name, out _)))
            {
                _memories.Add(view.Name, memory);
            }
        }

        _names = state.Tensors.ToLookup(tensor => tensor.StoredIn, StringComparer.Ordinal);
    }

    /// <summary>Reads.</summary>
    /// <param name="state">The state.</param>
    /// <param name="options">Where to and how.</param>
    /// <param name="isWanted">Which tensors; only what they need is read.</param>
    /// <param name="take">Called for each of them, one at a time; the tensor is its own from then on.</param>
    /// <param name="progress">Called from the lanes' threads, in order.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <returns>The bytes that were read.</returns>
    public static async Task<long> RunAsync(
        ShardedState state, ShardedStateLoadOptions options, Func<string, bool> isWanted, Action<string, Tensor> take, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var load = options.Load with { Manifest = options.Verify ? state.Manifest?.Tensors : null, SlabBytes = 0 };
        var reading = new StateReading(state, load.Device, isWanted, take);
        var plan = LoadPlanner.Plan(state.Checkpoint, load, tensor => tensor.TiedTo is null && reading.IsNeeded(tensor.Name));
        try
        {
            await foreach (var (name, tensor) in new CheckpointLoader().StreamAsync(plan, progress, cancellationToken).ConfigureAwait(false))
            {
                reading.Add(name, tensor);
            }

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
        _memories.TryGetValue(stored, out var memory) ? memory.Views.Any(view => IsWantedByAnyName(view.Name)) : _names[stored].Any(tensor => _isWanted(tensor.Name));

    private bool IsWantedByAnyName(string name) => _isWanted(name) || _names[name].Any(tensor => _isWanted(tensor.Name));

    private void Add(string stored, Tensor tensor)
    {
        if (!_memories.TryGetValue(stored, out var memory))
        {
            using (tensor)
            {
                foreach (var name in _names[stored].Where(name => _isWanted(name.Name)))
                {
                    Give(name.Name, new Tensor(tensor.Memory, name.DType, name.Shape, default, tensor.ByteOffset));
                }
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
        foreach (var view in memory.Views)
        {
            foreach (var name in _names[view.Name].Select(tensor => tensor.Name).Append(view.Name).Distinct(StringComparer.Ordinal).Where(name => _isWanted(name) && IsOf(name, view.Name)))
            {
                Give(name, new Tensor(storage, view.DType, view.Shape, view.Strides, view.ByteOffset));
            }
        }
    }

    // Of the names that a stored tensor of a memory has, its views have their own place; ties have that of the tensor.
    private bool IsOf(string name, string view) => string.Equals(name, view, StringComparison.Ordinal) || (_state.Checkpoint.TryGetTensor(name, out var tied) && tied.TiedTo == view);

    private DeviceMemory StorageOf(RestoredMemory memory, Dictionary<string, Tensor> arrived)
    {
        // One tensor that has all of it is it.
        if (arrived.Count == 1
            && arrived.Values.First() is { ByteOffset: 0, IsReadOnly: false } only
            && memory.Views.First(view => arrived.ContainsKey(view.Name)) is { Strides.IsDefault: true, ByteOffset: 0 }
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

    private void Give(string name, Tensor tensor)
    {
        try
        {
            _take(name, tensor);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }
}
