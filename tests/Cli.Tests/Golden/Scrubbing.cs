using System.CommandLine;
using System.Text.RegularExpressions;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>All that golden files do not hold literally.</summary>
internal static class Scrubbing
{
    /// <summary>Lanes where a command has no --lanes: they depend on the number of cores.</summary>
    public static ScrubbingRule Lanes { get; } = new("\"lanes\":(?<v>\\d+)", "{lanes}");

    /// <summary>The version of the program that runs, which is the test's here.</summary>
    public static ScrubbingRule Version { get; } = new(@"\A(?<v>\d+\.\d+\.\d+\S*)$", "{version}");

    /// <summary>What the list of devices says about this machine: a table as wide as its processor's name, and GPUs where it has some.</summary>
    public static IReadOnlyList<ScrubbingRule> Devices { get; } =
    [
        new(@"^device(?<v> +)name +memory +free", "  "),
        new(@"^device +name(?<v> +)memory +free", "  "),
        new(@"^device +name +memory(?<v> +)free", "  "),
        new(@"^host (?<v> +\S.*  +[\d.]+ [KMGT]iB  +[\d.]+ [KMGT]iB)$", " {processor}  {memory}  {free}"),
        new(@"^host .*\n(?<v>(.*\n)*)meta ", ""),
        new("^meta(?<v> +)shapes", "  "),
        new(@"^(?<v>ILGPU .*is (not )?compiled in.*)$", "{whether ILGPU is compiled in}"),
        new("\"ilgpu\":(?<v>null|\"[^\"]*\")", "{version or null}"),
        new("\"id\":\"host\",\"kind\":\"host\",\"name\":\"(?<v>[^\"]*)\"", "{processor}"),
        new("\"totalMemory\":(?<v>[1-9]\\d*)", "{memory}"),
        new("\"freeMemory\":(?<v>[1-9]\\d*)", "{free}"),
        new("\"problems\":\\[(?<v>[^\\]]*)\\]", ""),
        new("^ *.\"id\":\"host\".*\\n(?<v>(.*\\n)*) *.\"id\":\"meta\"", ""),
    ];

    private static readonly ScrubbingRule[] Always =
    [
        // The parser names the program in a command's usage after its file, which is the test's here.
        new($@"^  (?<v>{Regex.Escape(RootCommand.ExecutableName)})( |$)", "ilgpu-loader"),
        new($"(?<v>{Regex.Escape(Path.Combine(RepositoryPaths.Root, "samples"))})", "{samples}"),

        // Free and total memory of the host, in plan.
        new(@" needed, (?<v>[\d.]+ [KMGT]iB) free of ", "{free}"),
        new(@" free of (?<v>[\d.]+ [KMGT]iB): ", "{memory}"),
        new(@" and (?<v>\d+) are free\.", "{free}"),
        new("\"freeBytes\":(?<v>\\d+)", "{free}"),
        new("\"totalBytes\":(?<v>\\d+)", "{memory}"),

        // How long it took and what it took.
        new(@"(?<=^  (load|again \d+) +[\d. ]*)(?<v>\d)", "#"),
        new(@"(opened in |loaded in |saved in |written in |read in |, |^)(?<v>\d+\.\d+) s($|, )", "{seconds}"),
        new(@", (?<v>\d+\.\d\d) GB/s( read| written|, opened)", "{rate}"),
        new(@"peak memory (?<v>[\d.]+ [KMG]iB)$", "{peak}"),
        new("\"[a-zA-Z]*[sS]econds\":(?<v>[\\d.E+-]+)", "{seconds}"),
        new("\"[a-zA-Z]*[gG]igabytesPerSecond\":(?<v>[\\d.E+-]+)", "{rate}"),
        new("\"peakMemoryBytes\":(?<v>\\d+)", "{peak}"),
    ];

    /// <summary>Replaces all that differs from run to run.</summary>
    public static string Apply(string text, TemporaryFolder folder, GoldenCase golden) =>
        golden.Rules.Concat(Always).Aggregate(
            text.Replace(folder.Path, "{tmp}", StringComparison.Ordinal), (scrubbed, rule) => rule.Apply(scrubbed));
}
