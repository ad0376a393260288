using Xunit.Abstractions;
using Xunit.Sdk;

namespace IlgpuLoader.TestKit;

/// <summary>Finds the tests of <see cref="DeviceFactAttribute"/>.</summary>
public sealed class DeviceFactDiscoverer(IMessageSink diagnostics) : FactDiscoverer(diagnostics)
{
    protected override IXunitTestCase CreateTestCase(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute)
    {
        return OnDeviceAttribute.WhyMissing(testMethod.TestClass.Class.ToRuntimeType()) is { } missing
            ? new MissingDeviceTestCase(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), testMethod, missing)
            : base.CreateTestCase(discoveryOptions, testMethod, factAttribute);
    }
}
