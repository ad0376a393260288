using Xunit;
using Xunit.Sdk;

namespace IlgpuLoader.TestKit;

/// <summary>A test of a behaviour that every device has; see <see cref="OnDeviceAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("IlgpuLoader.TestKit." + nameof(DeviceFactDiscoverer), "IlgpuLoader.TestKit")]
public sealed class DeviceFactAttribute : FactAttribute;
