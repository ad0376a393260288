using System.Collections;
using System.Net.Sockets;
using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class ServiceManagerTests
{
    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Manager_is_told_that_the_service_has_started_and_that_it_ends(bool isAbstract)
    {
        using var folder = new TemporaryFolder();
        var name = isAbstract ? $"@ilgpu-loader-{Guid.NewGuid():N}" : folder["notify"];
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(isAbstract ? $"\0{name[1..]}" : name));
        var manager = new ServiceManager(new Hashtable { [ServiceManager.Variable] = name });

        manager.Ready("serving 1 models on http://127.0.0.1:5070");
        manager.Stopping();

        Assert.Equal("READY=1\nSTATUS=serving 1 models on http://127.0.0.1:5070", await ReceiveAsync(socket));
        Assert.Equal("STOPPING=1", await ReceiveAsync(socket));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("@")]
    [InlineData("vsock:2:1234")]
    public void Without_a_socket_that_is_known_nobody_is_told(string? name)
    {
        var manager = new ServiceManager(name is null ? [] : new Hashtable { [ServiceManager.Variable] = name });
        manager.Ready("");
        manager.Stopping();
    }

    [LinuxFact]
    public void Manager_that_is_gone_is_missed_at_the_start_alone()
    {
        using var folder = new TemporaryFolder();
        var manager = new ServiceManager(new Hashtable { [ServiceManager.Variable] = folder["gone"] });
        Assert.Throws<SocketException>(() => manager.Ready(""));
        manager.Stopping();
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var buffer = new byte[512];
        return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30)));
    }
}
