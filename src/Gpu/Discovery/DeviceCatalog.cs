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

    /// <summary>Lists all devices: the host, GPUs in the order of their drivers, and the meta device.</summary>
    public static IReadOnlyList<DeviceDescription> List()
    {
        var devices = new List<DeviceDescription> { Describe(HostDevice.Shared) };
        AddIlgpuDevices(devices);
        devices.Add(Describe(MetaDevice.Shared) with { FreeMemory = null });
        return devices;
    }

    /// <summary>Gets a device by its id; <see cref="Auto"/> for the best there is.</summary>
    /// <exception cref="DeviceUnavailableException">There is no such device, or nothing can be loaded onto it.</exception>
    public static Device Open(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id is Auto or "host")
        {
            return HostDevice.Shared;
        }

        if (id == MetaDevice.Shared.Id)
        {
            return MetaDevice.Shared;
        }

        var devices = List();
        var found = devices.FirstOrDefault(device => device.Id == id);
        throw new DeviceUnavailableException(
            id,
            found is null
                ? $"There is no device '{id}'; there are {string.Join(", ", devices.Select(device => device.Id))} and {Auto}."
                : $"Nothing can be loaded onto {id} ({found.Name}): {found.Unusable}.");
    }

    private static DeviceDescription Describe(Device device) =>
        new(device.Id, device.Kind, device.Name, device.TotalMemory, device.FreeMemory);

    // Implemented in Ilgpu/; without it the calls vanish.
    static partial void ReadIlgpuVersion(ref string? version);

    static partial void AddIlgpuDevices(ICollection<DeviceDescription> devices);
}
