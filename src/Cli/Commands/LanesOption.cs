using System.CommandLine;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that says how many lanes read.</summary>
internal static class LanesOption
{
    /// <summary>Makes the option.</summary>
    public static Option<int?> Create() => new("--lanes")
    {
        Description = "How many lanes read side by side; by default one a core, at most eight, and eight where files are read past the page cache.",
        HelpName = "N",
    };
}
