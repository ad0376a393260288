namespace IlgpuLoader.Gpu;

/// <summary>A device has not the memory that was asked for. Nothing was allocated.</summary>
public sealed class DeviceMemoryException : Exception
{
    /// <summary>Makes the exception.</summary>
    /// <param name="device">The device's id.</param>
    /// <param name="requested">The bytes asked for; 0 where only the driver knows.</param>
    /// <param name="available">The bytes that were free, as far as it is known.</param>
    /// <param name="advice">What takes the memory, and what to do.</param>
    /// <param name="innerException">What the device's driver reported, if anything.</param>
    public DeviceMemoryException(string device, long requested, long available, string advice, Exception? innerException = null)
        : base($"{device}: {(requested > 0 ? $"{requested} bytes are needed and {available} are free" : $"more memory is needed than the {available} bytes that are free")}. {advice}", innerException)
    {
        Device = device;
        Requested = requested;
        Available = available;
    }

    /// <summary>The device's id.</summary>
    public string Device { get; }

    /// <summary>The bytes asked for; 0 where only the driver knows.</summary>
    public long Requested { get; }

    /// <summary>The bytes that were free, as far as it is known.</summary>
    public long Available { get; }
}
