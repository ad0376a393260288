using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test whose oracle is huggingface_hub itself; skipped where the system has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PythonHubFactAttribute : FactAttribute
{
    public PythonHubFactAttribute() => Skip = PythonHub.Missing;
}
