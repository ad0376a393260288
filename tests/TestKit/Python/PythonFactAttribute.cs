using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test whose oracle is Python's own library; skipped where the system has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PythonFactAttribute : FactAttribute
{
    public PythonFactAttribute() => Skip = SystemPython.Missing;
}
