using System.Diagnostics;
using System.Globalization;

namespace IlgpuLoader.Harness;

/// <summary>A <see cref="RangeServer"/> as a process of its own, ended when disposed.</summary>
internal sealed class RangeProcess : IDisposable
{
    /// <summary>What its command line begins with; the folder and the milliseconds follow.</summary>
    public const string Argument = "--child-ranges";

    private readonly Process _process;

    private RangeProcess(Process process, Uri address) => (_process, Address) = (process, address);

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>Serves as a command line says.</summary>
    public static Task RunAsync(string[] arguments) => new RangeServer(arguments[0], TimeSpan.FromMilliseconds(int.Parse(arguments[1], CultureInfo.InvariantCulture)))
        .RunAsync(port => Console.WriteLine(port.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Starts it, and waits until it listens.</summary>
    public static async Task<RangeProcess> StartAsync(string folder, int latencyMilliseconds, CancellationToken cancellationToken)
    {
        var process = Process.Start(new ProcessStartInfo(ToolProcess.Self, [Argument, folder, latencyMilliseconds.ToString(CultureInfo.InvariantCulture)])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        })!;
        try
        {
            var line = await process.StandardOutput.ReadLineAsync(cancellationToken);
            return int.TryParse(line, CultureInfo.InvariantCulture, out var port)
                ? new RangeProcess(process, new Uri($"http://127.0.0.1:{port}/"))
                : throw new InvalidOperationException($"The server of ranges said '{line}', and not its port.");
        }
        catch
        {
            End(process);
            throw;
        }
    }

    public void Dispose() => End(_process);

    private static void End(Process process)
    {
        if (!process.HasExited)
        {
            process.Kill();
            process.WaitForExit();
        }

        process.Dispose();
    }
}
