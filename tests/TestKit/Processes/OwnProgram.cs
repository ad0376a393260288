using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace IlgpuLoader.TestKit;

/// <summary>A test assembly with a Main of its own as another process, which may kill itself or be killed.</summary>
public static class OwnProgram
{
    /// <summary>What a process ends with that was killed: 128 and the signal's number.</summary>
    public const int Killed = 128 + 9;

    /// <summary>Starts an assembly.</summary>
    /// <param name="program">The assembly.</param>
    /// <param name="args">Texts and numbers, which are written as everywhere.</param>
    public static Process Start(Assembly program, params IEnumerable<object> args)
    {
        ArgumentNullException.ThrowIfNull(program);
        string[] line = ["exec", program.Location, .. args.Select(arg => Convert.ToString(arg, CultureInfo.InvariantCulture)!)];
        return Process.Start(new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", line)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            // A start takes a tenth of a second; more of it would be the compiler's.
            Environment = { ["DOTNET_TieredPGO"] = "0", ["DOTNET_TieredCompilation"] = "1" },
        })!;
    }

    /// <summary>Ends this process: without a chance to clean up, and not a moment later.</summary>
    public static void Kill()
    {
        using var self = Process.GetCurrentProcess();
        self.Kill();
        Thread.Sleep(Timeout.Infinite);
    }
}
