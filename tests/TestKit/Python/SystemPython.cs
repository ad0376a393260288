using System.Diagnostics;

namespace IlgpuLoader.TestKit;

/// <summary>Runs scripts with the system's Python, the oracle of what is written for it.</summary>
public static class SystemPython
{
    /// <summary>Where it is.</summary>
    public const string Path = "/usr/bin/python3";

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing => File.Exists(Path) ? null : $"Python is not on this machine (looked for {Path}).";

    /// <summary>Runs a script and gives what it prints.</summary>
    /// <param name="script">The script.</param>
    /// <param name="arguments">What it finds in <c>sys.argv</c> from 1 on.</param>
    /// <exception cref="InvalidOperationException">The script failed; the message has what it printed.</exception>
    public static async Task<string> RunAsync(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in (string[])["-I", "-c", script, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"Python ended with {process.ExitCode}: {await errors}");
    }
}
