using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>A store whose models are what a test says; nothing is ever loaded.</summary>
internal sealed class StandInModels(params ModelStatus[] statuses) : IModelStore
{
    public IReadOnlyList<IHostedModel> Models => [.. statuses.Select(status => new StandInModel(status))];

    public IReadOnlyList<Device> Devices => [];

    public IHostedModel this[string name] => TryGetModel(name, out var model) ? model : throw new ModelNotConfiguredException(name, statuses.Select(status => status.Name));

    public bool TryGetModel(string name, [NotNullWhen(true)] out IHostedModel? model)
    {
        model = Models.FirstOrDefault(model => model.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        return model is not null;
    }

    public async IAsyncEnumerable<ModelStatus> WatchAsync(TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await Task.CompletedTask;
        foreach (var status in statuses)
        {
            yield return status;
        }
    }

    private sealed class StandInModel(ModelStatus status) : IHostedModel
    {
        public string Name => status.Name;

        public ModelStatus Status => status;

        public ImmutableArray<HostedTensor> Tensors => [];

        public ValueTask<IModelLease> LeaseAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<IModelLease> LeaseLayerAsync(string layer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public bool TryLease([NotNullWhen(true)] out IModelLease? lease) => throw new NotSupportedException();

        public Task LoadAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task<ModelReload> ReloadAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task UnloadAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();
    }
}
