using Xunit.Abstractions;
using Xunit.Sdk;

namespace IlgpuLoader.TestKit;

/// <summary>Finds the tests of <see cref="DeviceTheoryAttribute"/>; one that cannot run is one case, whatever its data.</summary>
public sealed class DeviceTheoryDiscoverer(IMessageSink diagnostics) : TheoryDiscoverer(diagnostics)
{
    public override IEnumerable<IXunitTestCase> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo theoryAttribute)
    {
        return OnDeviceAttribute.WhyMissing(testMethod.TestClass.Class.ToRuntimeType()) is { } missing
            ? [new MissingDeviceTestCase(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), testMethod, missing)]
            : base.Discover(discoveryOptions, testMethod, theoryAttribute);
    }
}
