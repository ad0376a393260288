using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test with nginx; skipped where the system has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NginxFactAttribute : FactAttribute
{
    public NginxFactAttribute() => Skip = SystemNginx.Missing;
}
