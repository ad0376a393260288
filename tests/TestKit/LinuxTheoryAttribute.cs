using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test of several cases of something that only Linux has; skipped elsewhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LinuxTheoryAttribute : TheoryAttribute
{
    public LinuxTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux())
        {
            Skip = "This test needs Linux.";
        }
    }
}
