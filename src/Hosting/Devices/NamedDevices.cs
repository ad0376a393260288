using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>
/// The devices that the host was given. Each is made when it is first asked for, and kept; none is disposed: tensors may be on it for longer than the container lives. One a container. Safe
/// for any thread.
/// </summary>
internal sealed class NamedDevices
{
    private readonly Dictionary<string, NamedDevice> _named = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Device> _made = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private readonly IServiceProvider _services;

    /// <summary>Takes the devices; of one name the last counts, as with all services.</summary>
    /// <param name="devices">Names, and what makes the devices.</param>
    /// <param name="services">What they are made with.</param>
    public NamedDevices(IEnumerable<NamedDevice> devices, IServiceProvider services)
    {
        _services = services;
        foreach (var device in devices)
        {
            _named[device.Name] = device;
        }
    }

    /// <summary>Whether a device was given under a name; it is not made.</summary>
    public bool Contains(string name) => _named.ContainsKey(name);

    /// <summary>Gets the device of a name, which is made if it is not there yet; whatever making it throws comes through, and it is made anew by the next call: a driver may come up late.</summary>
    /// <param name="name">The name; upper and lower case differ.</param>
    /// <param name="device">The device, which stays its owner's; null where none was given under the name.</param>
    public bool TryGet(string name, [NotNullWhen(true)] out Device? device)
    {
        device = null;
        if (!_named.TryGetValue(name, out var named))
        {
            return false;
        }

        lock (_lock)
        {
            if (!_made.TryGetValue(name, out device))
            {
                device = named.Make(_services) ?? throw new InvalidOperationException($"What was given to AddDevice for '{name}' has made no device.");
                _made.Add(name, device);
            }
        }

        return true;
    }
}
