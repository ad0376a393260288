using System.Text;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>A model at a signed address: whatever the service answers or logs, the signature is not in it.</summary>
public sealed class SecretAddressTests
{
    private const string Secret = "SECRETSIGNATURE";

    [Theory]
    [InlineData("model.safetensors", ModelState.Loaded)]
    [InlineData("nothing.safetensors", ModelState.Failed)]
    public async Task Nothing_that_the_service_says_has_the_signature(string file, ModelState state)
    {
        await using var remote = await RemoteServer.StartAsync();
        _ = remote.Add("/model.safetensors", new SafetensorsBuilder().Add("a", "F32", [4], new byte[16]).ToBytes());
        var log = new RecordedLog();
        await using var server = ModelServer.Create(
            new ModelServerOptions
            {
                Urls = "http://127.0.0.1:0",
                Paths = { remote.AddressOf(file) + $"?X-Amz-Signature={Secret}.{Secret}" },
                Device = "host",
                LogLevel = LogLevel.Trace,
            },
            RunningServer.Environment("OnFailure=Degrade"),
            (services, section) => services
                .AddLogging(logging => logging.AddFilter<ConsoleLoggerProvider>(null, LogLevel.None))
                .AddSingleton<ILoggerProvider>(log)
                .AddIlgpuLoader(section));
        await server.StartAsync();
        var model = Assert.Single(server.Models.Models);
        await foreach (var status in server.Models.WatchAsync(TimeSpan.Zero))
        {
            if (status.State == state)
            {
                break;
            }
        }

        using var client = new HttpClient { BaseAddress = new Uri(server.Addresses[0]) };
        var said = new StringBuilder($"{model.Name} {model.Status}");
        foreach (var path in new[] { "/api/models", $"/api/models/{model.Name}", $"/api/models/{model.Name}/tensors", "/metrics", "/healthz", "/readyz", "/" })
        {
            using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
            said.Append(await response.Content.ReadAsStringAsync());
        }

        Assert.Contains(remote.AddressOf(file), said.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, said.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(log.Entries, entry => entry.Text.Contains(Secret, StringComparison.Ordinal));
        await server.WaitAsync(new CancellationToken(canceled: true));
    }
}
