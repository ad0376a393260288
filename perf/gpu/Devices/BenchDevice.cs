using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>The device that is measured, what it took to open it, and what is known of it.</summary>
internal sealed partial class BenchDevice : IDisposable
{
    private readonly IReadOnlyList<IDisposable> _owned;

    private BenchDevice(Device device, IReadOnlyList<StartUpTime> startUp, IReadOnlyList<KeyValuePair<string, string>> facts, IReadOnlyList<IDisposable> owned)
    {
        Device = device;
        StartUp = startUp;
        Facts = facts;
        _owned = owned;
    }

    public Device Device { get; }

    public IReadOnlyList<StartUpTime> StartUp { get; }

    public IReadOnlyList<KeyValuePair<string, string>> Facts { get; }

    /// <summary>Whether kernels run step by step, so that only small sizes end.</summary>
    public bool IsSimulator => Device.Kind == DeviceKind.Simulator;

    /// <summary>Opens the device.</summary>
    /// <exception cref="DeviceUnavailableException">There is no such device here.</exception>
    public static BenchDevice Open(BenchOptions options)
    {
        if (options.Device == HostDevice.Shared.Id)
        {
            return new BenchDevice(HostDevice.Shared, [], [], []);
        }

        BenchDevice? opened = null;
        OpenIlgpu(options, ref opened);
        return opened ?? throw new DeviceUnavailableException(
            options.Device, $"There is no device '{options.Device}': ILGPU was not restored where this program was built.");
    }

    public void Dispose()
    {
        foreach (var owned in _owned)
        {
            owned.Dispose();
        }
    }

    // Implemented in Ilgpu/; without it the call vanishes.
    static partial void OpenIlgpu(BenchOptions options, ref BenchDevice? opened);
}
