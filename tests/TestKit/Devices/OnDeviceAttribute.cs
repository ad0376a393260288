namespace IlgpuLoader.TestKit;

/// <summary>
/// The device that a class runs an abstract class's tests on; those marked <see cref="DeviceFactAttribute"/> or
/// <see cref="DeviceTheoryAttribute"/> are skipped, with the reason, where it is missing.
/// </summary>
/// <param name="device">The device.</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class OnDeviceAttribute(TestDevice device) : Attribute
{
    /// <summary>The device.</summary>
    public TestDevice Device { get; } = device;

    /// <summary>Why a class's tests cannot run here; null where they can.</summary>
    internal static string? WhyMissing(Type tests) =>
        tests.GetCustomAttributes(typeof(OnDeviceAttribute), inherit: true) is [OnDeviceAttribute on, ..] ? TestDevices.WhyMissing(on.Device) : null;
}
