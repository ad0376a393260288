using System.Diagnostics;
using System.Net;
using System.Text.Json;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Hosting.Tests.Samples;

/// <summary>The sample service as people start it, in the repository's root; ended when disposed.</summary>
internal sealed class SampleService : IAsyncDisposable
{
    private const string Listening = "Now listening on: ";

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly Task _log;

    private SampleService(Process process, Task log, Uri address)
    {
        (_process, _log) = (process, log);
        Client = new HttpClient { BaseAddress = address, Timeout = Deadline };
    }

    /// <summary>Asks the service.</summary>
    public HttpClient Client { get; }

    /// <summary>Starts it on a port that is free, and waits until it listens.</summary>
    /// <param name="settings">Settings that come before those of its file, such as <c>Logging:LogLevel:Default=Debug</c>.</param>
    public static async Task<SampleService> StartAsync(params string[] settings)
    {
        // Built beside these tests: bin/<configuration>/<framework>.
        var bin = new DirectoryInfo(AppContext.BaseDirectory);
        var assembly = Path.Combine(RepositoryPaths.Root, "samples", "HostedService", "bin", bin.Parent!.Name, bin.Name, "HostedService.dll");
        var process = Process.Start(new ProcessStartInfo("dotnet", [assembly, "--urls", "http://127.0.0.1:0", .. settings.Select(setting => "--" + setting)])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            WorkingDirectory = RepositoryPaths.Root,
        })!;
        try
        {
            using var deadline = new CancellationTokenSource(Deadline);
            while (await process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
            {
                if (line.IndexOf(Listening, StringComparison.Ordinal) is >= 0 and var at)
                {
                    // The rest is read too: a full pipe would stop the service.
                    return new SampleService(process, process.StandardOutput.ReadToEndAsync(CancellationToken.None), new Uri(line[(at + Listening.Length)..]));
                }
            }

            throw new InvalidOperationException("The sample ended before it listened.");
        }
        catch
        {
            End(process);
            throw;
        }
    }

    /// <summary>Waits until an address answers with a status.</summary>
    public async Task UntilAsync(string path, HttpStatusCode status)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (true)
        {
            using var answer = await Client.GetAsync(path, deadline.Token);
            if (answer.StatusCode == status)
            {
                return;
            }

            await Task.Delay(10, deadline.Token);
        }
    }

    /// <summary>Asks for a document.</summary>
    public async Task<(HttpResponseMessage Answer, JsonElement Document)> GetAsync(string path)
    {
        var answer = await Client.GetAsync(path);
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStreamAsync());
        return (answer, document.RootElement.Clone());
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        End(_process);
        await _log;
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
}
