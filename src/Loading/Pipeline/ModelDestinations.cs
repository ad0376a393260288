using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>All tensors of a plan at once, made before the first read or given by the caller.</summary>
internal sealed class ModelDestinations : IDestinations
{
    private readonly LoadPlan _plan;
    private readonly Lock _lock = new();
    private int _next;

    // The memory of each block as one row, while the load lasts.
    private readonly Tensor[] _blocks;

    private ModelDestinations(Tensor[] tensors, Tensor[] blocks, LoadPlan plan)
    {
        Tensors = tensors;
        _blocks = blocks;
        _plan = plan;
    }

    public Tensor[] Tensors { get; }

    public Tensor this[int destination] => _plan.IsBlock(destination) ? _blocks[destination - Tensors.Length] : Tensors[destination];

    /// <summary>Allocates every tensor of a plan; frees what it has if one fails.</summary>
    public static ModelDestinations Allocate(LoadPlan plan, MappedFiles files, CancellationToken cancellationToken)
    {
        var tensors = new Tensor[plan.Tensors.Length];
        var blocks = new Tensor[plan.Blocks.Length];
        var slabs = new DeviceMemory[plan.Slabs.Length];
        try
        {
            for (var i = 0; i < slabs.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                slabs[i] = plan.Device.Allocate(plan.Slabs[i]);
            }

            for (var i = 0; i < blocks.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                blocks[i] = Make(plan.Blocks[i].Memory);
            }

            for (var i = 0; i < tensors.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var planned = plan.Tensors[i];
                tensors[i] = planned.Block is { } block ? planned.ViewOf(blocks[block])
                    : planned.TiedTo is { } first
                    ? new Tensor(tensors[first].Memory, planned.DType, planned.Shape, default, tensors[first].ByteOffset)
                    : Make(planned);
            }

            return new ModelDestinations(tensors, blocks, plan);
        }
        catch
        {
            foreach (var tensor in tensors.Concat(blocks))
            {
                tensor?.Dispose();
            }

            throw;
        }
        finally
        {
            // Each tensor in it has a reference of its own.
            foreach (var slab in slabs)
            {
                slab?.Dispose();
            }
        }

        Tensor Make(PlannedTensor planned) => planned.Slab is { } place
            ? new Tensor(slabs[place.Slab], planned.DType, planned.Shape, default, place.ByteOffset)
            : files.Allocate(planned, plan.Device);
    }

    /// <summary>Uses the tensors of a model that was loaded by an equal plan; they stay the model's.</summary>
    /// <exception cref="ArgumentException">A tensor is missing, or differs in dtype, shape, strides, device or what it is tied to.</exception>
    /// <exception cref="InvalidOperationException">The plan maps files, or a tensor can only be read.</exception>
    /// <exception cref="ObjectDisposedException">The model, or a tensor of it, was disposed.</exception>
    public static ModelDestinations Reuse(LoadPlan plan, LoadedModel model)
    {
        // A tensor would stay a view of the file that it is a view of, which may be another one than the plan's.
        if (plan.MappedCount > 0)
        {
            throw new InvalidOperationException(
                $"{plan.MappedCount} tensors of the plan are views of mapped files, into which nothing is loaded: load the plan anew, or read the files instead of mapping them.");
        }

        var tensors = new Tensor[plan.Tensors.Length];
        for (var i = 0; i < tensors.Length; i++)
        {
            var planned = plan.Tensors[i];
            if (!model.TryGetTensor(planned.Name, out var tensor)
                || tensor.DType != planned.DType
                || tensor.Shape != planned.Shape
                || tensor.Device != plan.Device
                || !(planned.Strides.IsDefault ? tensor.IsContiguous : tensor.Strides.SequenceEqual(planned.Strides)))
            {
                throw new ArgumentException(
                    $"The plan makes {planned.Name} as {planned.DType} {planned.Shape} on {plan.Device}, and the model has "
                    + $"{(tensor is null ? "no such tensor" : tensor.ToString())}: it was not loaded by an equal plan.",
                    nameof(model));
            }

            ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
            if (tensor.IsReadOnly)
            {
                throw new InvalidOperationException(
                    $"{Quoted.Name(planned.Name)} of the model is a view of a mapped file and can only be read, so that nothing can be loaded into it: load the plan into memory of its own.");
            }

            tensors[i] = tensor;
        }

        if ((plan.TiedCount > 0 || plan.Blocks.Length > 0 || plan.Slabs.Length > 0 || model.HasTies) && FindOtherTie(plan, tensors) is { } difference)
        {
            throw new ArgumentException($"{difference}: it was not loaded by an equal plan.", nameof(model));
        }

        // Each has a reference of its own to the memory that its tensors share, which all of them lie in. The model may be disposed meanwhile.
        var blocks = new Tensor[plan.Blocks.Length];
        try
        {
            for (var i = 0; i < blocks.Length; i++)
            {
                var block = plan.Blocks[i];
                blocks[i] = new Tensor(
                    tensors[block.Tensors[0]].Memory, block.Memory.DType, block.Memory.Shape, default, block.Memory.Slab?.ByteOffset ?? 0);
            }
        }
        catch
        {
            foreach (var block in blocks)
            {
                block?.Dispose();
            }

            throw;
        }

        return new ModelDestinations(tensors, blocks, plan);
    }

    public ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var taken = _plan.RunsFrom(_next);
            _next += taken.Count;
            return ValueTask.FromResult(taken);
        }
    }

    public void RunDone()
    {
    }

    public void Complete(int destination)
    {
        // The model is handed over when all are there.
    }

    public void Discard(int destination)
    {
        // The load fails, and everything is freed, or the model's owner keeps it, when all that differs is known.
    }

    /// <summary>Gives up the references to blocks when the load is over: their memory is that of the tensors now.</summary>
    public void ReleaseBlocks()
    {
        foreach (var block in _blocks)
        {
            block.Dispose();
        }
    }

    /// <summary>Frees the tensors after a failure.</summary>
    public void Free()
    {
        ReleaseBlocks();
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }

    // Two tensors that share memory must be two that the plan lets share it, in the places that it gives them, or one would overwrite the other.
    private static string? FindOtherTie(LoadPlan plan, Tensor[] tensors)
    {
        var used = new Dictionary<DeviceMemory, int>();
        var firstInSlab = new int?[plan.Slabs.Length];
        for (var i = 0; i < tensors.Length; i++)
        {
            var (planned, owner) = (plan.Tensors[i], plan.DestinationOf(i));
            var slab = plan.Destination(owner).Slab;
            var first = used.TryAdd(tensors[i].Memory, i) ? i : used[tensors[i].Memory];
            var expected = slab is not null ? firstInSlab[slab.Slab] ??= i
                : plan.IsBlock(owner) ? plan.Sharing(owner)[0]
                : owner;
            if (first == expected && tensors[i].ByteOffset == (slab?.ByteOffset ?? 0) + planned.BlockByteOffset)
            {
                continue;
            }

            return first == expected ? $"{Quoted.Name(planned.Name)} begins elsewhere in the memory that it shares"
                : plan.IsBlock(owner) || slab is not null ? $"{Quoted.Name(planned.Name)} shares its memory with others in the plan than in the model"
                : planned.TiedTo is { } tied ? $"{Quoted.Name(planned.Name)} is tied to {Quoted.Name(plan.Tensors[tied].Name)} in the plan and not in the model"
                : $"{Quoted.Name(planned.Name)} shares the memory of {Quoted.Name(plan.Tensors[first].Name)} in the model and not in the plan";
        }

        return null;
    }
}
