using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>A model that is what a test says, and remembers what it was asked to do.</summary>
internal sealed class StandInModel(StandInStore store, string name) : IHostedModel
{
    private readonly Lock _lock = new();
    private readonly List<string> _calls = [];
    private ModelStatus _status = new() { Name = name, State = ModelState.Unloaded, Since = DateTimeOffset.UnixEpoch, Device = "host", IsRequired = true };
    private ImmutableArray<HostedTensor> _tensors = [];

    public string Name => name;

    public ModelStatus Status => Volatile.Read(ref _status);

    /// <summary>Looked at before tensors are given: a test that stops there has a request under way.</summary>
    public Action BeforeTensors { get; set; } = () => { };

    public ImmutableArray<HostedTensor> Tensors
    {
        get
        {
            BeforeTensors();
            return _tensors;
        }
    }

    /// <summary>What was asked for, in order.</summary>
    public IReadOnlyList<string> Calls
    {
        get
        {
            lock (_lock)
            {
                return [.. _calls];
            }
        }
    }

    /// <summary>What an action waits for.</summary>
    public Task Action { get; set; } = Task.CompletedTask;

    public void Become(Func<ModelStatus, ModelStatus> change)
    {
        Volatile.Write(ref _status, change(Status));
        store.Announce();
    }

    public void Become(ModelState state) => Become(status => status with { State = state, IsAvailable = state is ModelState.Loaded or ModelState.Reloading });

    public void Have(params IEnumerable<string> names) =>
        _tensors = [.. names.Select((name, i) => new HostedTensor(name, DType.BF16, new Shape(i, 2), 4 * i))];

    public Task LoadAsync(CancellationToken cancellationToken = default) => CalledAsync("load", cancellationToken);

    public async Task<ModelReload> ReloadAsync(CancellationToken cancellationToken = default)
    {
        await CalledAsync("reload", cancellationToken);
        return new ModelReload(1, new CompletedLoad(true, TimeSpan.Zero, 0, []));
    }

    public Task UnloadAsync(CancellationToken cancellationToken = default) => CalledAsync("unload", cancellationToken);

    public ValueTask<IModelLease> LeaseAsync(CancellationToken cancellationToken = default) => throw new InvalidOperationException("Nobody leases over HTTP.");

    public ValueTask<IModelLease> LeaseLayerAsync(string layer, CancellationToken cancellationToken = default) => throw new InvalidOperationException("Nobody leases over HTTP.");

    public bool TryLease([NotNullWhen(true)] out IModelLease? lease) => throw new InvalidOperationException("Nobody leases over HTTP.");

    private Task CalledAsync(string what, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _calls.Add(what);
        }

        store.Announce();
        return Action.WaitAsync(cancellationToken);
    }
}
