using System.Net;
using System.Net.Sockets;
using System.Text;

namespace IlgpuLoader.Harness.Tests;

/// <summary>An HTTP service whose answers a test gives.</summary>
internal sealed class StandInService : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Task _serving;

    /// <summary>Serves.</summary>
    /// <param name="answer">The status and the content for a method and path, with its query.</param>
    public StandInService(Func<string, (int Status, string Content)> answer)
    {
        // The listener takes no port 0: one that was free a moment ago.
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Address = new Uri($"http://{free.LocalEndpoint}/");
        }

        _listener.Prefixes.Add(Address.ToString());
        _listener.Start();
        _serving = ServeAsync(answer);
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>What was asked last had this for authorization.</summary>
    public string? Authorization { get; private set; }

    public void Dispose()
    {
        _listener.Close();
        _serving.Wait();
    }

    private async Task ServeAsync(Func<string, (int Status, string Content)> answer)
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                // It was closed.
                return;
            }

            Authorization = context.Request.Headers["Authorization"];
            var (status, content) = answer($"{context.Request.HttpMethod} {context.Request.RawUrl}");
            context.Response.StatusCode = status;
            context.Response.Close(Encoding.UTF8.GetBytes(content), willBlock: false);
        }
    }
}
