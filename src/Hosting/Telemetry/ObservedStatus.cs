using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using IlgpuLoader.Gpu;
using static IlgpuLoader.Hosting.IlgpuLoaderTelemetry;

namespace IlgpuLoader.Hosting;

/// <summary>What is looked at when somebody collects: models by state, versions, readiness, and the memory of devices. Safe for any thread.</summary>
internal sealed class ObservedStatus
{
    private static readonly ImmutableArray<(ModelState State, string Name)> States =
        [.. Enum.GetValues<ModelState>().Select(state => (state, state.ToString().ToLowerInvariant()))];

    private volatile Func<IReadOnlyList<ModelStatus>>? _statuses;
    private volatile Func<IReadOnlyList<Device>>? _devices;

    /// <summary>Makes the instruments; until there is something to look at they give nothing.</summary>
    /// <param name="meter">The meter, which stays its factory's.</param>
    public ObservedStatus(Meter meter)
    {
        _ = meter.CreateObservableUpDownCounter(ModelStateCount, CountStates, ModelsUnit, "1 for the state that a model is in, 0 for each other.");
        _ = meter.CreateObservableGauge(ModelVersion, ReadVersions, VersionsUnit, "The version that a model has.");
        _ = meter.CreateObservableGauge(Ready, ReadReadiness, NoUnit, "1 where all required models are available, else 0.");
        _ = meter.CreateObservableUpDownCounter(
            DeviceMemoryUsed, () => SumDevices(device => device.LiveBytes), BytesUnit, "Bytes of a device's memory that are allocated here and not freed.");
        _ = meter.CreateObservableUpDownCounter(
            DeviceAllocations, () => SumDevices(device => device.LiveAllocations), AllocationsUnit, "Allocations on a device that are not freed.");
    }

    /// <summary>Says what to look at.</summary>
    /// <param name="statuses">Gives the status of every model.</param>
    /// <param name="devices">Gives the devices that models are on or were on.</param>
    public void Observe(Func<IReadOnlyList<ModelStatus>> statuses, Func<IReadOnlyList<Device>> devices) => (_statuses, _devices) = (statuses, devices);

    /// <summary>The value of <see cref="DeviceKindTag"/>.</summary>
    public static string NameOf(DeviceKind kind) => kind.ToString().ToLowerInvariant();

    private IEnumerable<Measurement<long>> CountStates() =>
        from status in _statuses?.Invoke() ?? []
        from state in States
        select new Measurement<long>(status.State == state.State ? 1 : 0, [new(ModelTag, status.Name), new(StateTag, state.Name)]);

    private IEnumerable<Measurement<long>> ReadVersions() =>
        (_statuses?.Invoke() ?? []).Select(status => new Measurement<long>(status.Version, new KeyValuePair<string, object?>(ModelTag, status.Name)));

    private IEnumerable<Measurement<long>> ReadReadiness() =>
        _statuses?.Invoke() is { } statuses ? [new Measurement<long>(statuses.All(status => !status.IsRequired || status.IsAvailable) ? 1 : 0)] : [];

    // A group's members count what each of them holds. Two devices of one id, as two views of the host are, would be one series twice.
    private IEnumerable<Measurement<long>> SumDevices(Func<Device, long> value) =>
        (_devices?.Invoke() ?? [])
            .SelectMany(device => device is DeviceGroup group ? group.Members : [device])
            .Distinct()
            .GroupBy(device => (device.Id, device.Kind))
            .Select(same => new Measurement<long>(same.Sum(value), [new(DeviceIdTag, same.Key.Id), new(DeviceKindTag, NameOf(same.Key.Kind))]));
}
