using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test whose oracle is NumPy itself; skipped where the system has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PythonNumpyFactAttribute : FactAttribute
{
    public PythonNumpyFactAttribute() => Skip = PythonNumpy.Missing;
}
