using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A test that needs a terminal, which the program <c>script</c> gives; skipped where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TerminalFactAttribute : FactAttribute
{
    private const string Script = "/usr/bin/script";

    public TerminalFactAttribute()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists(Script))
        {
            Skip = $"This test needs Linux and {Script} of util-linux.";
        }
    }
}
