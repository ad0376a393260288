using IlgpuLoader.Gpu;

namespace IlgpuLoader.TestKit;

/// <summary>Finds the devices that behaviours are tested on. Those of ILGPU are there only where its package was restored.</summary>
public static partial class TestDevices
{
    private const string NotCompiledIn = "ILGPU was not restored, so that there are no devices of it.";

    private static readonly Dictionary<TestDevice, Lazy<(Device? Device, string? Missing)>> Devices =
        Enum.GetValues<TestDevice>().ToDictionary(kind => kind, kind => new Lazy<(Device?, string?)>(() => Find(kind)));

    /// <summary>Why there is no such device here; null where there is one.</summary>
    public static string? WhyMissing(TestDevice kind) => Devices[kind].Value.Missing;

    /// <summary>The device, one for all tests of an assembly.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static Device Get(TestDevice kind) => Devices[kind].Value.Device ?? throw new InvalidOperationException(WhyMissing(kind));

    private static (Device? Device, string? Missing) Find(TestDevice kind)
    {
        if (kind == TestDevice.Host)
        {
            return (new HostDevice(), null);
        }

        Device? device = null;
        string? missing = NotCompiledIn;
        FindIlgpu(kind, ref device, ref missing);
        return (device, missing);
    }

    // Implemented in Ilgpu/; without it the call vanishes.
    static partial void FindIlgpu(TestDevice kind, ref Device? device, ref string? missing);
}
