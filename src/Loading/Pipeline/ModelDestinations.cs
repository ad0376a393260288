using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>All tensors of a plan at once, made before the first read or given by the caller.</summary>
internal sealed class ModelDestinations : IDestinations
{
    private readonly LoadPlan _plan;
    private readonly Lock _lock = new();
    private int _next;

    private ModelDestinations(Tensor[] tensors, LoadPlan plan)
    {
        Tensors = tensors;
        _plan = plan;
    }

    public Tensor[] Tensors { get; }

    public Tensor this[int tensor] => Tensors[tensor];

    /// <summary>Allocates every tensor of a plan; frees what it has if one fails.</summary>
    public static ModelDestinations Allocate(LoadPlan plan, CancellationToken cancellationToken)
    {
        var tensors = new Tensor[plan.Tensors.Length];
        try
        {
            for (var i = 0; i < tensors.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var planned = plan.Tensors[i];
                tensors[i] = planned.TiedTo is { } first
                    ? new Tensor(tensors[first].Memory, planned.DType, planned.Shape)
                    : Tensor.Empty(planned.DType, planned.Shape, plan.Device);
            }

            return new ModelDestinations(tensors, plan);
        }
        catch
        {
            foreach (var tensor in tensors)
            {
                tensor?.Dispose();
            }

            throw;
        }
    }

    /// <summary>Uses the tensors of a model that was loaded by an equal plan; they stay the model's.</summary>
    /// <exception cref="ArgumentException">A tensor is missing, or differs in dtype, shape, strides, device or what it is tied to.</exception>
    /// <exception cref="ObjectDisposedException">The model, or a tensor of it, was disposed.</exception>
    public static ModelDestinations Reuse(LoadPlan plan, LoadedModel model)
    {
        var tensors = new Tensor[plan.Tensors.Length];
        for (var i = 0; i < tensors.Length; i++)
        {
            var planned = plan.Tensors[i];
            if (!model.TryGetTensor(planned.Name, out var tensor)
                || tensor.DType != planned.DType
                || tensor.Shape != planned.Shape
                || tensor.Device != plan.Device
                || !tensor.IsContiguous)
            {
                throw new ArgumentException(
                    $"The plan makes {planned.Name} as {planned.DType} {planned.Shape} on {plan.Device}, and the model has "
                    + $"{(tensor is null ? "no such tensor" : tensor.ToString())}: it was not loaded by an equal plan.",
                    nameof(model));
            }

            ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
            tensors[i] = tensor;
        }

        if ((plan.TiedCount > 0 || model.HasTies) && FindOtherTie(plan, tensors) is { } difference)
        {
            throw new ArgumentException($"{difference}: it was not loaded by an equal plan.", nameof(model));
        }

        return new ModelDestinations(tensors, plan);
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

    public void Complete(int tensor)
    {
        // From here on every page is present; a second load into the same memory need not ask again.
        if (Tensors[tensor].Memory is HostMemory memory)
        {
            memory.MarkPopulated();
        }
    }

    public void Discard(int tensor)
    {
        // The load fails, and everything is freed, or the model's owner keeps it, when all that differs is known.
    }

    /// <summary>Frees the tensors after a failure.</summary>
    public void Free()
    {
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }

    // Two tensors that share memory must be two that the plan ties, or one would overwrite the other.
    private static string? FindOtherTie(LoadPlan plan, Tensor[] tensors)
    {
        var used = new Dictionary<DeviceMemory, int>();
        for (var i = 0; i < tensors.Length; i++)
        {
            var planned = plan.Tensors[i];
            var first = used.TryAdd(tensors[i].Memory, i) ? i : used[tensors[i].Memory];
            if (first != (planned.TiedTo ?? i))
            {
                return planned.TiedTo is { } tied
                    ? $"{Quoted.Name(planned.Name)} is tied to {Quoted.Name(plan.Tensors[tied].Name)} in the plan and not in the model"
                    : $"{Quoted.Name(planned.Name)} shares the memory of {Quoted.Name(plan.Tensors[first].Name)} in the model and not in the plan";
            }
        }

        return null;
    }
}
