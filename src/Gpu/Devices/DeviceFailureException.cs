namespace IlgpuLoader.Gpu;

/// <summary>A device's driver failed. What the device was doing is lost; other devices are not concerned.</summary>
/// <param name="device">The device's id.</param>
/// <param name="message">What failed, and what the driver reported.</param>
/// <param name="innerException">The driver's report.</param>
public sealed class DeviceFailureException(string device, string message, Exception? innerException = null)
    : Exception($"{device}: {message}.", innerException)
{
    /// <summary>The device's id.</summary>
    public string Device { get; } = device;
}
