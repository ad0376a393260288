using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace IlgpuLoader.TestKit;

/// <summary>The system's nginx (Debian's <c>nginx-light</c>), serving a folder on this machine until it is disposed.</summary>
public sealed class SystemNginx : IAsyncDisposable
{
    private const string Program = "/usr/sbin/nginx";

    // It must come up within this on a machine that is busy.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly TemporaryFolder _state;

    private SystemNginx(Process process, TemporaryFolder state, int port) => (_process, _state, Address) = (process, state, $"http://127.0.0.1:{port}/");

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing => File.Exists(Program) ? null : $"nginx is not on this machine (looked for {Program}).";

    /// <summary>Its address, with a slash at the end.</summary>
    public string Address { get; }

    /// <summary>Starts it.</summary>
    /// <param name="folder">The folder that is served.</param>
    /// <param name="settings">More settings of the server, in nginx's language.</param>
    public static async Task<SystemNginx> StartAsync(string folder, string settings = "")
    {
        var state = new TemporaryFolder();
        var port = FreePort();
        File.WriteAllText(
            state["nginx.conf"],
            $$"""
            daemon off;
            master_process off;
            pid {{state["pid"]}};
            error_log stderr warn;
            events { worker_connections 64; }
            http {
              access_log off;
              client_body_temp_path {{state["body"]}};
              proxy_temp_path {{state["proxy"]}};
              fastcgi_temp_path {{state["fastcgi"]}};
              uwsgi_temp_path {{state["uwsgi"]}};
              scgi_temp_path {{state["scgi"]}};
              server {
                listen 127.0.0.1:{{port}};
                root {{folder}};
                {{settings}}
              }
            }
            """);
        var start = new ProcessStartInfo(Program) { RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in (string[])["-c", state["nginx.conf"], "-p", state.Path, "-e", "stderr"])
        {
            start.ArgumentList.Add(argument);
        }

        var process = Process.Start(start)!;
        var nginx = new SystemNginx(process, state, port);
        try
        {
            await nginx.WaitAsync(port);
            return nginx;
        }
        catch
        {
            await nginx.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        _process.Dispose();
        _state.Dispose();
    }

    // It takes no port 0: one that was free a moment ago.
    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task WaitAsync(int port)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"nginx ended with {_process.ExitCode}: {await _process.StandardError.ReadToEndAsync(patience.Token)}");
            }

            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, patience.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(10, patience.Token);
            }
        }
    }
}
