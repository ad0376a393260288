using System.CommandLine;
using IlgpuLoader.Cli.Output;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that caps the memory of staging slots.</summary>
internal static class StagingOption
{
    /// <summary>Makes the option.</summary>
    public static Option<string?> Create() => new("--memory")
    {
        Description = "The most memory for staging, such as 64MiB; by default 256MiB.",
        HelpName = "SIZE",
    };

    /// <summary>The bytes that a value of the option means; null where it was not given.</summary>
    /// <exception cref="UsageException">It is no size.</exception>
    public static long? Parse(string? value) => value is null
        ? null
        : Sizes.TryParse(value, out var bytes) ? bytes : throw new UsageException($"--memory takes a size such as 64MiB, not '{value}'.");
}
