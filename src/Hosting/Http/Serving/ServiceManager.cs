using System.Collections;
using System.Net.Sockets;
using System.Text;

namespace IlgpuLoader.Hosting;

/// <summary>Tells systemd what the process is doing (<c>Type=notify</c>): one datagram to the socket that <c>NOTIFY_SOCKET</c> names, as sd_notify(3) has it. Elsewhere nobody is told.</summary>
/// <param name="environment">The variables.</param>
internal sealed class ServiceManager(IDictionary environment)
{
    /// <summary>The variable that names the socket.</summary>
    public const string Variable = "NOTIFY_SOCKET";

    private readonly string? _socket = environment[Variable] is string { Length: > 1 } name && name[0] is '/' or '@' ? name : null;

    /// <summary>Says that the service has started.</summary>
    /// <param name="status">What it does, for people.</param>
    /// <exception cref="SocketException">The socket is not there: the manager would wait for the word until it gives up.</exception>
    public void Ready(string status) => Send($"READY=1\nSTATUS={status}");

    /// <summary>Says that the service ends.</summary>
    public void Stopping()
    {
        try
        {
            Send("STOPPING=1");
        }
        catch (SocketException)
        {
            // A manager that is gone keeps nobody from ending.
        }
    }

    private void Send(string state)
    {
        if (_socket is null)
        {
            return;
        }

        // A name that begins with @ is one without a file, which begins with a zero.
        var address = new UnixDomainSocketEndPoint(_socket[0] == '@' ? $"\0{_socket[1..]}" : _socket);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Connect(address);
        _ = socket.Send(Encoding.UTF8.GetBytes(state));
    }
}
