using Xunit;
using Xunit.Sdk;

namespace IlgpuLoader.TestKit;

/// <summary>A test, for several data, of a behaviour that every device has; see <see cref="OnDeviceAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("IlgpuLoader.TestKit." + nameof(DeviceTheoryDiscoverer), "IlgpuLoader.TestKit")]
public sealed class DeviceTheoryAttribute : TheoryAttribute;
