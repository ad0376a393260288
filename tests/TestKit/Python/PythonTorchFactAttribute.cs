using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test whose oracle is PyTorch itself; skipped where the system has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PythonTorchFactAttribute : FactAttribute
{
    public PythonTorchFactAttribute() => Skip = PythonTorch.Missing;
}
