using System.Diagnostics;

namespace IlgpuLoader.TestKit;

/// <summary>Runs the tests of a page with the system's Node (Debian's <c>nodejs</c>) and its test runner.</summary>
public static class SystemNode
{
    /// <summary>Where it is.</summary>
    public const string Path = "/usr/bin/node";

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing => File.Exists(Path) ? null : $"Node is not on this machine (looked for {Path}).";

    /// <summary>Runs the tests of a file, and those that it imports.</summary>
    /// <param name="file">The file.</param>
    /// <param name="environment">Variables that it finds.</param>
    /// <param name="cancellationToken">Ends the process and all that it has started.</param>
    /// <returns>What Node ended with, 0 where all tests pass, and its report in the Test Anything Protocol.</returns>
    public static async Task<(int ExitCode, string Report)> TestAsync(
        string file, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(environment);
        var start = new ProcessStartInfo(Path, ["--test", "--test-reporter=tap", file])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        // Whatever becomes of the waiting, no browser stays behind.
        await using var registration = cancellationToken.Register(() => process.Kill(entireProcessTree: true));
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
