using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>
/// The devices that the host was given. Each is made when it is first asked for, and kept; none is disposed: tensors may be on it for longer than the container lives. One a container. Safe
/// for any thread.
/// </summary>
internal sealed class NamedDevices
{
    private readonly Dictionary<string, Lazy<Device>> _devices = new(StringComparer.Ordinal);

    /// <summary>Takes the devices; of one name the last counts, as with all services.</summary>
    /// <param name="devices">Names, and what makes the devices.</param>
    /// <param name="services">What they are made with.</param>
    public NamedDevices(IEnumerable<NamedDevice> devices, IServiceProvider services)
    {
        foreach (var device in devices)
        {
            _devices[device.Name] = new Lazy<Device>(
                () => device.Make(services) ?? throw new InvalidOperationException($"What was given to AddDevice for '{device.Name}' has made no device."));
        }
    }

    /// <summary>Whether a device was given under a name; it is not made.</summary>
    public bool Contains(string name) => _devices.ContainsKey(name);

    /// <summary>Gets the device of a name, which is made if it is not there yet; whatever making it throws comes through.</summary>
    /// <param name="name">The name; upper and lower case differ.</param>
    /// <param name="device">The device, which stays its owner's; null where none was given under the name.</param>
    public bool TryGet(string name, [NotNullWhen(true)] out Device? device)
    {
        device = _devices.TryGetValue(name, out var named) ? named.Value : null;
        return device is not null;
    }
}
