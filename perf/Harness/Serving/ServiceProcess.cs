using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Harness;

/// <summary>The tool's <c>serve</c> as a process of its own, on a port of the loopback interface that is free; ended when disposed, whatever it was doing.</summary>
internal sealed partial class ServiceProcess : IDisposable
{
    private const int Terminated = 15;

    // A start takes half a second, of which most is compiling.
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly string _token;
    private readonly Task _read;

    private ServiceProcess(Process process, Uri address, string token)
    {
        (_process, Address, _token) = (process, address, token);
        // What nobody reads fills the pipe, and then the service waits.
        _read = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>Starts it with a configuration, and waits until it says where it listens.</summary>
    /// <param name="configuration">The configuration file.</param>
    /// <param name="cancellationToken">Ends the waiting, and the process.</param>
    public static async Task<ServiceProcess> StartAsync(string configuration, CancellationToken cancellationToken)
    {
        // Of this run alone.
        var token = Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        var process = Process.Start(new ProcessStartInfo(ToolProcess.Tool, ["serve", "--config", configuration, "--urls", "http://127.0.0.1:0", "--quiet"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            Environment = { ["ILGPU_LOADER_TOKEN"] = token },
        })!;
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(Deadline);
            var line = await process.StandardOutput.ReadLineAsync(deadline.Token);
            return AddressOf(line) is { } address
                ? new ServiceProcess(process, address, token)
                : throw new InvalidOperationException($"serve said '{line}', and not where it listens.");
        }
        catch
        {
            End(process);
            process.Dispose();
            throw;
        }
    }

    /// <summary>The address in what <c>serve</c> says when it listens; null where there is none.</summary>
    public static Uri? AddressOf(string? line) =>
        line?.LastIndexOf("http://", StringComparison.Ordinal) is >= 0 and var at && Uri.TryCreate(line[at..].Split(' ', ',')[0], UriKind.Absolute, out var address) ? address : null;

    /// <summary>A client with the token.</summary>
    public ServiceClient Connect() => new(Address, _token);

    /// <summary>The memory that the process has in pages now.</summary>
    public long ResidentBytes()
    {
        const string field = "VmRSS:";
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(field, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(field.Length).Trim().TrimEnd(" kB"), CultureInfo.InvariantCulture) << 10;
    }

    /// <summary>Asks it to end, as a service manager does, and waits until it has.</summary>
    /// <returns>The seconds from the signal to the end.</returns>
    /// <exception cref="InvalidOperationException">It ended with another code than 0.</exception>
    public async Task<double> TerminateAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        if (Kill(_process.Id, Terminated) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        await _process.WaitForExitAsync(cancellationToken);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await _read;
        return _process.ExitCode == 0 ? seconds : throw new InvalidOperationException($"serve ended with {_process.ExitCode} when it was asked to end.");
    }

    public void Dispose()
    {
        End(_process);
        _process.Dispose();
    }

    private static void End(Process process)
    {
        if (!process.HasExited)
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
