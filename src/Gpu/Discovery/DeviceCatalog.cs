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
    /// Gets a device by its id; <see cref="Auto"/> for the best there is: the first CUDA GPU, or the host where none is usable. Several ids
    /// with commas between them, such as <c>cuda:0,cuda:1</c>, give a <see cref="DeviceGroup"/> of these devices. The same device each time;
    /// it lives as long as the process.
    /// </summary>
    /// <exception cref="ArgumentException">A name is empty, or the devices named make no group: one is named twice, or is the meta device.</exception>
    /// <exception cref="DeviceUnavailableException">There is no such device, or nothing can be loaded onto it.</exception>
    public static Device Open(string id) => Open(id, out _);

    /// <summary>Gets a device as <see cref="Open(string)"/> does, and says what <see cref="Auto"/> has passed over.</summary>
    /// <param name="id">The id.</param>
    /// <param name="problems">
    /// One sentence for each GPU, or driver, for which <see cref="Auto"/> chose another device or the host; empty where nothing failed, as
    /// on a machine without a driver.
    /// </param>
    /// <inheritdoc cref="Open(string)"/>
    public static Device Open(string id, out IReadOnlyList<string> problems)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id.Split(DeviceGroup.Separator).Any(string.IsNullOrWhiteSpace))
        {
            throw new ArgumentException($"'{id}' has a name that is empty; device ids, such as cuda:0,cuda:1, have one comma between them.", nameof(id));
        }

        var reported = new List<string>();
        problems = reported;
        return id.Contains(DeviceGroup.Separator, StringComparison.Ordinal) ? OpenGroup(id, reported) : OpenOne(id, reported);
    }

    private static Device OpenOne(string id, List<string> problems)
    {
        if (id == HostDevice.Shared.Id)
        {
            return HostDevice.Shared;
        }

        if (id == MetaDevice.Shared.Id)
        {
            return MetaDevice.Shared;
        }

        Device? device = null;
        OpenIlgpuDevice(id, ref device, problems);
        if (device is not null)
        {
            return device;
        }

        if (id == Auto)
        {
            return HostDevice.Shared;
        }

        var devices = List(out var reported);
        var found = devices.FirstOrDefault(listed => listed.Id == id);
        throw new DeviceUnavailableException(
            id,
            found is null
                ? DescribeMissing(id, devices.Select(listed => listed.Id), reported, IlgpuVersion is not null)
                : $"Nothing can be loaded onto {id} ({found.Name}): {found.Unusable}.");
    }

    /// <summary>Says that there is no device of an id, and why that may be.</summary>
    internal static string DescribeMissing(string id, IEnumerable<string> ids, IEnumerable<string> problems, bool hasIlgpu) => string.Join(
        ' ',
        [
            $"There is no device '{id}'; there are {string.Join(", ", ids)} and {Auto}.",
            .. problems,
            .. hasIlgpu ? Array.Empty<string>() : ["ILGPU, which drives GPUs, was not compiled in: no package source served it when this was built."],
        ]);

    // What cannot be a group is refused before a device is opened, which takes its time.
    private static DeviceGroup OpenGroup(string ids, List<string> problems)
    {
        var names = ids.Split(DeviceGroup.Separator, StringSplitOptions.TrimEntries);
        if (names.Contains(MetaDevice.Shared.Id))
        {
            throw new ArgumentException($"'{ids}' cannot be a group: {MetaDevice.Shared.Id} holds nothing.", nameof(ids));
        }

        if (names.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"'{ids}' has {twice.Key} twice; every device of a group is named once.", nameof(ids));
        }

        var members = names.Select(name => OpenOne(name, problems)).ToArray();
        return members.DistinctBy(member => member.Id).Count() == members.Length
            ? new DeviceGroup(members)
            : throw new ArgumentException($"'{ids}' is the same device under two names.", nameof(ids));
    }

    private static DeviceDescription Describe(Device device) =>
        new(device.Id, device.Kind, device.Name, device.TotalMemory, device.FreeMemory);

    // Implemented in Ilgpu/; without it the calls vanish.
    static partial void ReadIlgpuVersion(ref string? version);

    static partial void AddIlgpuDevices(ICollection<DeviceDescription> devices, ICollection<string> problems);

    static partial void OpenIlgpuDevice(string id, ref Device? device, ICollection<string> problems);
}
