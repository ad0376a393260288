using System.ComponentModel;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace IlgpuLoader.TestKit;

/// <summary>A test whose device is not there: skipped, with the reason.</summary>
public sealed class MissingDeviceTestCase : XunitTestCase
{
    private string _missing = "";

    /// <summary>For the framework, which carries test cases between processes.</summary>
    [EditorBrowsable(EditorBrowsableState.Never)]
    [Obsolete("Called by the framework only.")]
    public MissingDeviceTestCase()
    {
    }

    /// <summary>Makes a test case.</summary>
    /// <param name="diagnostics">The framework's.</param>
    /// <param name="display">How names are shown.</param>
    /// <param name="method">The test.</param>
    /// <param name="missing">Why it cannot run.</param>
    public MissingDeviceTestCase(IMessageSink diagnostics, TestMethodDisplay display, ITestMethod method, string missing)
        : base(diagnostics, display, TestMethodDisplayOptions.None, method)
    {
        _missing = missing;
        SkipReason = missing;
    }

    public override void Serialize(IXunitSerializationInfo data)
    {
        base.Serialize(data);
        data.AddValue(nameof(_missing), _missing);
    }

    public override void Deserialize(IXunitSerializationInfo data)
    {
        base.Deserialize(data);
        _missing = data.GetValue<string>(nameof(_missing));
        SkipReason = _missing;
    }

    protected override string GetSkipReason(IAttributeInfo factAttribute) => _missing;
}
