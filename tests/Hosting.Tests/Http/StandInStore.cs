using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>A store of models that a test drives. It gives every change at once, whatever the interval.</summary>
internal sealed class StandInStore : IModelStore
{
    private readonly SortedDictionary<string, StandInModel> _models = new(StringComparer.OrdinalIgnoreCase);
    private readonly Lock _lock = new();
    private TaskCompletionSource _change = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _given;
    private bool _isEnded;

    public StandInStore(params IEnumerable<string> names)
    {
        foreach (var name in names)
        {
            _models.Add(name, new StandInModel(this, name));
        }
    }

    public IReadOnlyList<IHostedModel> Models => [.. _models.Values];

    public IReadOnlyList<Device> Devices { get; set; } = [];

    /// <summary>The names that were looked up.</summary>
    public ConcurrentQueue<string> LookedUp { get; } = [];

    /// <summary>Statuses that were given to those who follow.</summary>
    public int Given => Volatile.Read(ref _given);

    IHostedModel IModelStore.this[string name] => this[name];

    public StandInModel this[string name] => _models[name];

    public bool TryGetModel(string name, [NotNullWhen(true)] out IHostedModel? model)
    {
        LookedUp.Enqueue(name);
        model = _models.GetValueOrDefault(name);
        return model is not null;
    }

    public async IAsyncEnumerable<ModelStatus> WatchAsync(TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var seen = new Dictionary<string, ModelStatus>();
        while (true)
        {
            Task change;
            lock (_lock)
            {
                change = _change.Task;
            }

            foreach (var model in _models.Values)
            {
                var status = model.Status;
                if (!seen.TryGetValue(model.Name, out var last) || !ReferenceEquals(last, status))
                {
                    seen[model.Name] = status;
                    _ = Interlocked.Increment(ref _given);
                    yield return status;
                }
            }

            if (Volatile.Read(ref _isEnded))
            {
                yield break;
            }

            await change.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Waits until something is so that changes with what the store hears of.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        while (true)
        {
            Task change;
            lock (_lock)
            {
                change = _change.Task;
            }

            if (condition())
            {
                return;
            }

            await change.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    /// <summary>Tells those who follow that the host has ended.</summary>
    public void End()
    {
        Volatile.Write(ref _isEnded, true);
        Announce();
    }

    public void Announce()
    {
        TaskCompletionSource change;
        lock (_lock)
        {
            (change, _change) = (_change, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        change.SetResult();
    }
}
