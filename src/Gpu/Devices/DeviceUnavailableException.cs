namespace IlgpuLoader.Gpu;

/// <summary>A device was asked for that is not there, or that nothing can be loaded onto.</summary>
/// <param name="device">The id asked for.</param>
/// <param name="message">Why, and which devices there are.</param>
public sealed class DeviceUnavailableException(string device, string message) : Exception(message)
{
    /// <summary>The id asked for.</summary>
    public string Device { get; } = device;
}
