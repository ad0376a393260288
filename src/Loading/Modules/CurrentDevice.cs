using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The device of tensors that are given storage without saying where: the shared host device, or what a scope says. The counterpart of PyTorch's device context, in which each rank has its own. Flows with
/// async methods to all that they call; what another flow sets is not seen here.
/// </summary>
public static class CurrentDevice
{
    private static readonly AsyncLocal<Device?> Scoped = new();

    /// <summary>The device here and now.</summary>
    public static Device Current => Scoped.Value ?? HostDevice.Shared;

    /// <summary>Sets the device until the scope is disposed: <c>using (CurrentDevice.Use(device))</c>. Then the one before counts again, also where an exception ends the scope.</summary>
    /// <param name="device">A device that has storage; it stays the caller's, who keeps it until the scope ends.</param>
    /// <exception cref="ArgumentException">It is the meta device.</exception>
    public static IDisposable Use(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Kind == DeviceKind.Meta)
        {
            throw new ArgumentException("The meta device cannot be the current one: it has no storage to give.", nameof(device));
        }

        var scope = new Scope(Scoped.Value);
        Scoped.Value = device;
        return scope;
    }

    private sealed class Scope(Device? before) : IDisposable
    {
        private bool _disposed;

        public void Dispose()
        {
            if (!_disposed)
            {
                _disposed = true;
                Scoped.Value = before;
            }
        }
    }
}
