using System.Text.Json;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>
/// The numbers of the devices as JSON has them. What is free is asked of the system, which reads files: at most once an interval, however many ask. Safe for any thread.
/// </summary>
/// <param name="store">Knows the devices.</param>
/// <param name="interval">The shortest time between two looks.</param>
/// <param name="time">The clock.</param>
internal sealed class DeviceNumbers(IModelStore store, TimeSpan interval, TimeProvider time)
{
    private readonly Lock _lock = new();
    private byte[] _json = "[]"u8.ToArray();
    private long? _looked;

    /// <summary>The array; the same instance as long as no number has changed.</summary>
    public byte[] Json
    {
        get
        {
            // Whoever comes while another looks takes what there is.
            if (!_lock.TryEnter())
            {
                return Volatile.Read(ref _json);
            }

            try
            {
                if (_looked is not { } last || time.GetElapsedTime(last) >= interval)
                {
                    _looked = time.GetTimestamp();
                    var json = JsonSerializer.SerializeToUtf8Bytes([.. store.Devices.Select(Describe)], ApiJsonContext.Default.HostedDeviceDescriptionArray);
                    if (!json.AsSpan().SequenceEqual(_json))
                    {
                        Volatile.Write(ref _json, json);
                    }
                }

                return _json;
            }
            finally
            {
                _lock.Exit();
            }
        }
    }

    private static HostedDeviceDescription Describe(Device device) => new(
        device.Id, device.Kind.ToString(), device.Name, device.LiveBytes, device.LiveAllocations, device.TotalMemory, device.FreeMemory);
}
