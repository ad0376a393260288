using System.Collections;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>A server over a stand-in store, on a port of its own.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    public const string Token = "a-token-of-tests";

    private readonly ModelServer _server;

    private RunningServer(ModelServer server, StandInStore store, RecordedLog log)
    {
        (_server, Store, Log) = (server, store, log);
        Client = new HttpClient { BaseAddress = Address };
    }

    public StandInStore Store { get; }

    public RecordedLog Log { get; }

    public HttpClient Client { get; }

    public IServiceProvider Services => _server.Services;

    // Where all addresses are listened on, the loopback is one.
    public Uri Address => new(_server.Addresses[0].Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal));

    /// <summary>Starts a server with variables such as <c>Http__Token=x</c>.</summary>
    public static async Task<RunningServer> StartAsync(
        StandInStore? store = null, string[]? variables = null, string urls = "http://127.0.0.1:0", Action<IServiceCollection>? services = null, string? configurationFile = null)
    {
        store ??= new StandInStore("llama");
        var log = new RecordedLog();
        var server = Create(store, variables ?? [], urls, collection =>
        {
            _ = collection.AddSingleton<ILoggerProvider>(log);
            services?.Invoke(collection);
        }, configurationFile);
        await server.StartAsync();
        return new RunningServer(server, store, log);
    }

    /// <summary>Makes a server, and does not start it.</summary>
    public static ModelServer Create(StandInStore store, string[] variables, string? urls, Action<IServiceCollection>? services = null, string? configurationFile = null) =>
        ModelServer.Create(
            new ModelServerOptions { Urls = urls, LogLevel = LogLevel.Debug, ConfigurationFile = configurationFile },
            Environment(variables),
            (collection, _) =>
            {
                // Nothing on the console of the tests.
                collection.AddLogging(logging => logging.AddFilter<Microsoft.Extensions.Logging.Console.ConsoleLoggerProvider>(null, LogLevel.None));
                collection.AddSingleton<IModelStore>(store);
                collection.AddSingleton(new PageFiles(Page));
                collection.AddHealthChecks()
                    .AddCheck("models", () => new HealthCheckResult(store.Models.All(model => model.Status.IsAvailable) ? HealthStatus.Healthy : HealthStatus.Unhealthy), ["ready"])
                    .AddCheck("loading-service", () => new HealthCheckResult(store.Models.Any(model => model.Status.Failure is { Code: "Dead" }) ? HealthStatus.Unhealthy : HealthStatus.Healthy), ["live"]);
                services?.Invoke(collection);
            });

    public static Hashtable Environment(params string[] variables) =>
        new(variables.Select(variable => variable.Split('=', 2)).ToDictionary(parts => $"ILGPU_LOADER_{parts[0]}", parts => parts[1]));

    private static IEnumerable<(string, byte[])> Page =>
        [("index.html", "<!doctype html><title>models</title>"u8.ToArray()), ("page.js", "export {};"u8.ToArray()), ("parts/icon.svg", "<svg/>"u8.ToArray())];

    /// <summary>Sends a request with the token of tests.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? token = null, string? host = null, HttpContent? content = null)
    {
        var request = new HttpRequestMessage(method, path) { Content = content };
        if (token is not null)
        {
            _ = request.Headers.TryAddWithoutValidation("Authorization", token);
        }

        request.Headers.Host = host;
        return Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    public Task<HttpResponseMessage> PostAsync(string path, string? token = $"Bearer {Token}") => SendAsync(HttpMethod.Post, path, token);

    /// <summary>The document of a path.</summary>
    public async Task<JsonElement> GetAsync(string path)
    {
        using var response = await Client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
        return await ReadAsync(response);
    }

    public static async Task<JsonElement> ReadAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync()).RootElement;

    /// <summary>Holds a response against the problem that it is to be.</summary>
    /// <returns>Its detail.</returns>
    public static async Task<string> ProblemAsync(Task<HttpResponseMessage> sent, int status, string code)
    {
        using var response = await sent;
        var text = Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync());
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.ToString());
        var problem = JsonDocument.Parse(text).RootElement;
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.Equal(code, problem.GetProperty("code").GetString());
        Assert.NotEqual("", problem.GetProperty("title").GetString());
        var detail = problem.GetProperty("detail").GetString()!;
        Assert.DoesNotContain("   at ", detail, StringComparison.Ordinal);
        return detail;
    }

    /// <summary>Asks the server to stop, and waits until it has.</summary>
    public Task StopAsync() => _server.WaitAsync(new CancellationToken(canceled: true)).WaitAsync(TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await StopAsync();
        await _server.DisposeAsync();
    }
}
