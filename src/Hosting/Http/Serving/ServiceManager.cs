using System.Collections;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>Tells systemd, where it has started the process and wants to know (<c>Type=notify</c>), that the server listens, and that it stops (sd_notify(3)).</summary>
/// <param name="socket">The path of systemd's socket; null where nobody wants to know.</param>
/// <param name="logger">Hears what could not be told.</param>
internal sealed partial class ServiceManager(string? socket, ILogger<ServiceManager> logger)
{
    /// <summary>Finds the socket among the variables.</summary>
    public static ServiceManager Of(IDictionary environment, ILogger<ServiceManager> logger) => new(environment["NOTIFY_SOCKET"] as string, logger);

    /// <summary>The server listens; what waits for it is started.</summary>
    public void Ready() => Tell("READY=1");

    /// <summary>The server has been asked to stop.</summary>
    public void Stopping() => Tell("STOPPING=1");

    private void Tell(string state)
    {
        if (string.IsNullOrEmpty(socket) || !OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            using var notify = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            // A name that begins so is in no file system; there it begins with a zero.
            notify.Connect(new UnixDomainSocketEndPoint(socket[0] == '@' ? $"\0{socket[1..]}" : socket));
            _ = notify.Send(Encoding.UTF8.GetBytes(state));
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException)
        {
            // Serving goes on: systemd ends a service that has not told it, and says so.
            NotTold(logger, state, exception.Message);
        }
    }

    [LoggerMessage(EventId = HttpEventIds.NotTold, EventName = nameof(NotTold), Level = LogLevel.Warning, Message = "systemd could not be told {State}: {Reason}")]
    private static partial void NotTold(ILogger logger, string state, string reason);
}
