namespace IlgpuLoader.Gpu;

/// <summary>
/// The devices of this machine. The part that asks ILGPU lies in <c>Ilgpu/</c> and is compiled only where the ILGPU
/// package was restored; elsewhere the host and the meta device are all there is.
/// </summary>
public static partial class DeviceCatalog
{
    /// <summary>The name that stands for the best device there is.</summary>
    public const string Auto = "auto";

    /// <summary>The version of ILGPU that was compiled in, or null where none was.</summary>
    public static string? IlgpuVersion
    {
        get
        {
            string? version = null;
            ReadIlgpuVersion(ref version);
            return version;
        }
    }

    /// <summary>Lists all devices: the host, GPUs in the order of their drivers, and the meta device. None is opened.</summary>
    public static IReadOnlyList<DeviceDescription> List() => List(out _);

    /// <summary>Lists all devices, and what drivers reported that failed instead of listing theirs.</summary>
    /// <param name="problems">One sentence a driver; mostly none.</param>
    public static IReadOnlyList<DeviceDescription> List(out IReadOnlyList<string> problems)
    {
        var devices = new List<DeviceDescription> { Describe(HostDevice.Shared) };
        var reported = new List<string>();
        AddIlgpuDevices(devices, reported);
        devices.Add(Describe(MetaDevice.Shared) with { FreeMemory = null });
        problems = reported;
        return devices;
    }

    /// <summary>
    /// Gets a device by its id; <see cref="Auto"/> for the best there is: a GPU, or the host where none is usable. The same one each time;
    /// it lives as long as the process.
    /// </summary>
    /// <exception cref="DeviceUnavailableException">There is no such device, or nothing can be loaded onto it.</exception>
    public static Device Open(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id == HostDevice.Shared.Id)
        {
            return HostDevice.Shared;
        }

        if (id == MetaDevice.Shared.Id)
        {
            return MetaDevice.Shared;
        }

        Device? device = null;
        OpenIlgpuDevice(id, ref device);
        if (device is not null)
        {
            return device;
        }

        if (id == Auto)
        {
            return HostDevice.Shared;
        }

        var devices = List();
        var found = devices.FirstOrDefault(listed => listed.Id == id);
        throw new DeviceUnavailableException(
            id,
            found is null
                ? $"There is no device '{id}'; there are {string.Join(", ", devices.Select(listed => listed.Id))} and {Auto}."
                : $"Nothing can be loaded onto {id} ({found.Name}): {found.Unusable}.");
    }

    private static DeviceDescription Describe(Device device) =>
        new(device.Id, device.Kind, device.Name, device.TotalMemory, device.FreeMemory);

    // Implemented in Ilgpu/; without it the calls vanish.
    static partial void ReadIlgpuVersion(ref string? version);

    static partial void AddIlgpuDevices(ICollection<DeviceDescription> devices, ICollection<string> problems);

    static partial void OpenIlgpuDevice(string id, ref Device? device);
}
