using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A theory that needs a shell; skipped, with the reason, where it is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ShellTheoryAttribute : TheoryAttribute
{
    public ShellTheoryAttribute(string shell)
    {
        if (PathOf(shell) is null)
        {
            Skip = $"{shell} is not installed.";
        }
    }

    /// <summary>Where a shell is installed, or null.</summary>
    public static string? PathOf(string shell) =>
        Array.Find([$"/bin/{shell}", $"/usr/bin/{shell}", $"/usr/local/bin/{shell}"], File.Exists);
}
