using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A test that needs ILGPU to be compiled in; skipped where no registry served it.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class IlgpuFactAttribute : FactAttribute
{
    public IlgpuFactAttribute()
    {
        if (DeviceCatalog.IlgpuVersion is null)
        {
            Skip = "ILGPU was not restored, so that the sample was not built.";
        }
    }
}
