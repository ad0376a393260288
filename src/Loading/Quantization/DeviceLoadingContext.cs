using System.Runtime.ExceptionServices;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Has a module's parameters on a device while something works on them: those that are on the host are brought there, and go back, into page-locked memory, when the scope ends, also by an exception. Nothing is done where the
/// device is the host, and buffers stay where they are.
/// </summary>
/// <remarks>
/// What goes back has the shape and the strides that it has by then. A parameter is known by its name: one that is new stays where it is, one that is gone is gone. Not safe for several threads.
/// </remarks>
public sealed class DeviceLoadingContext : IDisposable
{
    private readonly Module _module;
    private readonly Dictionary<string, HostDevice> _moved = new(StringComparer.Ordinal);
    private bool _disposed;

    private DeviceLoadingContext(Module module) => _module = module;

    /// <summary>Brings the parameters of a module, and of those below it, from the host to a device.</summary>
    /// <param name="module">The module.</param>
    /// <param name="device">The target device.</param>
    /// <returns>The scope; disposing it brings them back.</returns>
    /// <exception cref="DeviceMemoryException">The device has not enough memory; all are back on the host.</exception>
    public static DeviceLoadingContext Enter(Module module, Device device)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(device);
        var context = new DeviceLoadingContext(module);
        if (device.IsHost)
        {
            return context;
        }

        try
        {
            foreach (var (name, parameter) in module.NamedParameters())
            {
                if (parameter.Data.Device is HostDevice host)
                {
                    parameter.SetData(Copy(parameter.Data, device.Allocate));
                    context._moved.Add(name, host);
                }
            }

            return context;
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Brings the parameters that were moved back to the host. Safe to call again.</summary>
    /// <exception cref="DeviceMemoryException">The host has not enough memory, or the driver refused to lock it; the parameter stays on the device, and the others are brought back.</exception>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Exception? failure = null;
        foreach (var (name, parameter) in _module.NamedParameters())
        {
            // What is on the host again, or has no storage any more, has nothing to bring.
            if (_moved.TryGetValue(name, out var host) && parameter.Data.Device is { IsHost: false, Kind: not DeviceKind.Meta } device)
            {
                try
                {
                    parameter.SetData(Copy(parameter.Data, bytes => host.AllocatePageLocked(bytes, device)));
                }
                catch (Exception exception)
                {
                    failure ??= exception;
                }
            }
        }

        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    // A copy with the same strides, in memory from the first element to the last.
    private static Tensor Copy(Tensor tensor, Func<long, DeviceMemory> allocate)
    {
        using var memory = allocate(Tensor.ExtentOf(tensor.DType, tensor.Shape, tensor.Strides));
        var copy = new Tensor(memory, tensor.DType, tensor.Shape, tensor.Strides);
        try
        {
            copy.CopyFrom(tensor);
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }
}
