using System.Net;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class HealthCommandTests
{
    [Theory]
    [InlineData(new string[0], "GET /healthz ", "200 OK", """{"status":"Healthy"}""", 0, "Healthy (200)")]
    [InlineData(new[] { "--ready" }, "GET /readyz ", "503 Service Unavailable", """{"status":"Unhealthy"}""", 8, "Unhealthy (503)")]
    [InlineData(new[] { "--ready" }, "GET /readyz ", "404 Not Found", "", 8, "no status (404)")]
    public async Task Health_AServiceAnswers_SaysSo(string[] options, string expected, string line, string content, int exitCode, string said)
    {
        using var listener = Listen(out var url);
        var asked = AnswerAsync(listener, line, content);

        var run = await ToolRun.OfAsync(["health", url, .. options]);

        Assert.StartsWith(expected, await asked, StringComparison.Ordinal);
        Assert.Equal((exitCode, $"{url}: {said}\n", ""), (run.ExitCode, run.Out, run.Error));
    }

    [Fact]
    public async Task Health_Json_HasWhatWasAnswered()
    {
        using var listener = Listen(out var url);
        var asked = AnswerAsync(listener, "503 Service Unavailable", """{"status":"Degraded"}""");

        var run = await ToolRun.OfAsync("health", url, "--ready", "--json");

        await asked;
        Assert.Equal(8, run.ExitCode);
        var document = run.Document("ilgpu-loader/health-answer/1");
        Assert.Equal((url, true, false), (document.GetProperty("url").GetString(), document.GetProperty("ready").GetBoolean(), document.GetProperty("healthy").GetBoolean()));
        Assert.Equal((503, "Degraded"), (document.GetProperty("statusCode").GetInt32(), document.GetProperty("status").GetString()));
        Assert.False(document.TryGetProperty("problem", out _));
    }

    [Fact]
    public async Task Health_NobodyAnswers_EndsWith8AndTheReason()
    {
        // Bound, and not listening: nobody else gets the port meanwhile.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var url = $"http://{bound.LocalEndPoint}";

        var run = await ToolRun.OfAsync("health", url);

        Assert.Equal((8, ""), (run.ExitCode, run.Out));
        Assert.StartsWith($"error: {url}: ", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ftp://127.0.0.1", "3", "error: 'ftp://127.0.0.1' is no address of a service, such as http://127.0.0.1:5070 or http://unix:/run/ilgpu-loader.sock.\n")]
    [InlineData("http://127.0.0.1:1", "0", "error: --timeout takes seconds from 0.001 to 3600.\n")]
    [InlineData("http://127.0.0.1:1", "nan", "error: --timeout takes seconds from 0.001 to 3600.\n")]
    public async Task Health_WrongValues_AreUsageErrors(string url, string timeout, string error)
    {
        var run = await ToolRun.OfAsync("health", url, "--timeout", timeout);

        Assert.Equal((2, "", error), (run.ExitCode, run.Out, run.Error));
    }

    private static TcpListener Listen(out string url)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        url = $"http://{listener.LocalEndpoint}";
        return listener;
    }

    // One answer on one connection; what was asked comes back.
    private static async Task<string> AnswerAsync(TcpListener listener, string line, string content)
    {
        using var client = await listener.AcceptTcpClientAsync();
        await using var stream = client.GetStream();
        var buffer = new byte[4096];
        var length = await stream.ReadAsync(buffer);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {line}\r\nContent-Length: {content.Length}\r\nConnection: close\r\n\r\n{content}"));
        return Encoding.ASCII.GetString(buffer, 0, length);
    }
}
