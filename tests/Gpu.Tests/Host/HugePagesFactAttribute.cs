using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>A test of transparent huge pages; skipped where the system has none to give.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class HugePagesFactAttribute : FactAttribute
{
    private const string Setting = "/sys/kernel/mm/transparent_hugepage/enabled";
    private const string PieceSize = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";

    public HugePagesFactAttribute()
    {
        if (!File.Exists(Setting) || File.ReadAllText(Setting).Contains("[never]", StringComparison.Ordinal))
        {
            Skip = $"This test needs transparent huge pages ({Setting}).";
        }
        else if (!File.Exists(PieceSize) || File.ReadAllText(PieceSize).Trim() != "2097152")
        {
            Skip = $"This test needs huge pages of 2 MiB ({PieceSize}).";
        }
    }
}
