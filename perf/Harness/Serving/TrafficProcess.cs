using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>A process that asks a service (<see cref="TrafficChild"/>); ended when disposed.</summary>
internal sealed class TrafficProcess : IDisposable
{
    private readonly Process _process;

    private TrafficProcess(Process process) => _process = process;

    /// <summary>Starts it, and waits until its connections are open.</summary>
    public static async Task<TrafficProcess> StartAsync(Uri service, string model, int connections, CancellationToken cancellationToken)
    {
        var traffic = new TrafficProcess(Process.Start(new ProcessStartInfo(
            ToolProcess.Self, [TrafficChild.Argument, service.ToString(), model, connections.ToString(CultureInfo.InvariantCulture)])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!);
        try
        {
            await traffic.ReadAsync(TrafficChild.Open, cancellationToken);
            return traffic;
        }
        catch
        {
            traffic.Dispose();
            throw;
        }
    }

    /// <summary>Lets it ask.</summary>
    public async Task GoAsync()
    {
        await _process.StandardInput.WriteLineAsync(TrafficChild.Go);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Lets it pause.</summary>
    /// <returns>What became of its requests since it was let go.</returns>
    public async Task<TrafficResult> PauseAsync(CancellationToken cancellationToken)
    {
        await _process.StandardInput.WriteLineAsync(TrafficChild.Pause);
        await _process.StandardInput.FlushAsync(cancellationToken);
        return JsonSerializer.Deserialize<TrafficResult>(await ReadAsync(null, cancellationToken))!;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private async Task<string> ReadAsync(string? expected, CancellationToken cancellationToken) =>
        await _process.StandardOutput.ReadLineAsync(cancellationToken) is { } line && (expected is null || line == expected)
            ? line
            : throw new InvalidOperationException("The process that asks the service has ended; its standard error says why.");
}
