using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using IlgpuLoader.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class ModelServerTests
{
    [Fact]
    public async Task Address_that_is_taken_is_said_with_what_to_do_and_services_are_stopped()
    {
        await using var first = await RunningServer.StartAsync();
        var service = new WaitingService();
        await using var second = RunningServer.Create(new StandInStore(), [], first.Address.ToString(), services => services.AddSingleton<IHostedService>(service));
        var exception = await Assert.ThrowsAsync<IOException>(() => second.StartAsync());
        Assert.Contains(first.Address.Port.ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Contains("--urls", exception.Message, StringComparison.Ordinal);
        Assert.True(service.ExecuteTask is null or { IsCompleted: true });
    }

    [Fact]
    public async Task Service_that_fails_ends_the_server_with_its_failure()
    {
        var service = new WaitingService();
        await using var server = RunningServer.Create(new StandInStore(), [], "http://127.0.0.1:0", services => services.AddSingleton<IHostedService>(service));
        await server.StartAsync();
        var wait = server.WaitAsync();
        Assert.False(wait.IsCompleted);
        service.End.SetException(new InvalidOperationException("the weights are gone"));
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => wait.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal("the weights are gone", exception.Message);
    }

    [Fact]
    public async Task Server_that_is_asked_to_stop_ends_well_and_hears_no_more()
    {
        var server = await RunningServer.StartAsync();
        var address = server.Address;
        await server.StopAsync();
        using var client = new TcpClient();
        _ = await Assert.ThrowsAsync<SocketException>(() => client.ConnectAsync(IPAddress.Loopback, address.Port));
        await server.DisposeAsync();
    }

    [LinuxFact]
    public async Task Socket_of_the_file_system_counts_as_a_loopback()
    {
        using var folder = new TemporaryFolder();
        var path = folder["s"];
        await using var server = RunningServer.Create(new StandInStore("llama"), [], $"http://unix:{path}");
        await server.StartAsync();
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        Assert.Contains("llama", await client.GetStringAsync(new Uri("http://localhost/api/models")), StringComparison.Ordinal);
        await server.WaitAsync(new CancellationToken(canceled: true));
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Systemd_is_told_that_the_server_listens_and_that_it_stops(bool isAbstract)
    {
        using var folder = new TemporaryFolder();
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        manager.Bind(new UnixDomainSocketEndPoint(isAbstract ? "\0" + folder["s"] : folder["s"]));
        var environment = RunningServer.Environment();
        environment["NOTIFY_SOCKET"] = isAbstract ? "@" + folder["s"] : folder["s"];
        await using var server = ModelServer.Create(
            new ModelServerOptions { Urls = "http://127.0.0.1:0" }, environment, (services, _) => services.AddSingleton<IModelStore>(new StandInStore()));
        await server.StartAsync();
        Assert.Equal("READY=1", Received());
        await server.WaitAsync(new CancellationToken(canceled: true));
        Assert.Equal("STOPPING=1", Received());

        string Received()
        {
            var buffer = new byte[100];
            return System.Text.Encoding.ASCII.GetString(buffer, 0, manager.Receive(buffer));
        }
    }

    [Fact]
    public async Task Systemd_that_cannot_be_told_is_no_reason_to_end()
    {
        using var folder = new TemporaryFolder();
        using var log = new RecordedLog();
        var manager = new ServiceManager(folder["none"], new LoggerFactory([log]).CreateLogger<ServiceManager>());
        manager.Ready();
        Assert.Equal(OperatingSystem.IsLinux(), log.Entries.Any(entry => entry.Id.Name == "NotTold"));
        await using var server = await RunningServer.StartAsync();
        Assert.DoesNotContain(server.Log.Entries, entry => entry.Id.Name == "NotTold");
    }

    [Fact]
    public async Task Https_takes_a_certificate_of_the_configuration()
    {
        using var folder = new TemporaryFolder();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await File.WriteAllTextAsync(folder["cert.pem"], certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(folder["key.pem"], key.ExportPkcs8PrivateKeyPem());
        await using var server = await RunningServer.StartAsync(variables: [$"Http__CertificateFile={folder["cert.pem"]}", $"Http__CertificateKeyFile={folder["key.pem"]}"], urls: "https://127.0.0.1:0");
        using var client = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = { RemoteCertificateValidationCallback = (_, given, _, _) => given!.GetCertHashString() == certificate.GetCertHashString() },
        });
        Assert.Contains("llama", await client.GetStringAsync(new Uri(server.Address, "/api/models")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Https_sends_what_stands_between_the_certificate_and_its_root()
    {
        using var folder = new TemporaryFolder();
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var middleKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var (from, until) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var root = Authority("CN=root", rootKey).CreateSelfSigned(from, until);
        using var middle = Authority("CN=middle", middleKey).Create(root, from, until, [1]).CopyWithPrivateKey(middleKey);
        var request = new CertificateRequest("CN=models", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(middle, from, until, [2]);
        await File.WriteAllTextAsync(folder["cert.pem"], $"{certificate.ExportCertificatePem()}\n{middle.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");
        await using var server = await RunningServer.StartAsync(variables: [$"Http__CertificateFile={folder["cert.pem"]}"], urls: "https://127.0.0.1:0");
        // A client that knows the root alone.
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        _ = policy.CustomTrustStore.Add(root);
        using var client = new HttpClient(new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = policy } });
        Assert.Contains("llama", await client.GetStringAsync(new Uri(server.Address, "/api/models")), StringComparison.Ordinal);

        static CertificateRequest Authority(string name, ECDsa key)
        {
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            return request;
        }
    }

    [Theory]
    [InlineData("/models-host", "./models-host/")]
    [InlineData("/models-host?a=b%20c", "./models-host/?a=b%20c")]
    public async Task Page_below_a_prefix_is_asked_for_with_a_slash_so_that_its_relative_addresses_are_right(string path, string location)
    {
        await using var application = await ApplicationAsync(new StandInStore("llama"), "http://127.0.0.1:0", _ => { }, openReads: false);
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri(application.Urls.First()) };
        using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal((HttpStatusCode.PermanentRedirect, location), (response.StatusCode, response.Headers.Location!.OriginalString));
        using var page = await client.GetAsync(new Uri(new Uri(client.BaseAddress!, path), response.Headers.Location));
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType!.MediaType));
    }

    [Fact]
    public async Task Mappings_of_one_application_have_reads_of_their_own()
    {
        await using var application = await ApplicationAsync(new StandInStore("llama"), "http://0.0.0.0:0", options => options.Token = RunningServer.Token, openReads: true, "/guarded");
        using var client = new HttpClient { BaseAddress = new Uri(application.Urls.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal)) };
        Assert.Contains("\"needsToken\":false", await client.GetStringAsync(new Uri("/models-host/api/models", UriKind.Relative)), StringComparison.Ordinal);
        using var closed = await client.GetAsync(new Uri("/guarded/api/models", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Unauthorized, closed.StatusCode);
        client.DefaultRequestHeaders.Authorization = new("Bearer", RunningServer.Token);
        Assert.Contains("\"needsToken\":true", await client.GetStringAsync(new Uri("/guarded/api/models", UriKind.Relative)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SocketError.AccessDenied, "CAP_NET_BIND_SERVICE")]
    [InlineData(SocketError.AddressNotAvailable, "no network interface")]
    [InlineData(SocketError.AddressFamilyNotSupported, "IPv6")]
    public void Address_that_cannot_be_listened_on_is_said_with_why_and_what_to_do(SocketError error, string advice)
    {
        var exception = ListenFailure.Of(new SocketException((int)error), "http://10.9.8.7:80");
        Assert.StartsWith("Cannot listen on http://10.9.8.7:80: ", exception.Message, StringComparison.Ordinal);
        Assert.Contains(advice, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("another server", exception.Message, StringComparison.Ordinal);
        Assert.EndsWith("Choose another address (IlgpuLoader:Http:Urls, --urls).", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Address_of_another_machine_is_no_matter_of_another_server()
    {
        // TEST-NET-1 (RFC 5737): nobody has it.
        await using var server = RunningServer.Create(new StandInStore(), [$"TOKEN={RunningServer.Token}"], "http://192.0.2.1:5070");
        var exception = await Assert.ThrowsAsync<IOException>(() => server.StartAsync());
        Assert.Contains("http://192.0.2.1:5070", exception.Message, StringComparison.Ordinal);
        Assert.Contains("no network interface", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Application_mounts_the_endpoints_among_its_own()
    {
        var store = new StandInStore("llama");
        await using var application = await ApplicationAsync(store, "http://127.0.0.1:0", options => options.Token = RunningServer.Token, openReads: false);
        using var client = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        Assert.Equal("mine", await client.GetStringAsync(new Uri("/mine", UriKind.Relative)));
        Assert.Contains("llama", await client.GetStringAsync(new Uri("/models-host/api/models", UriKind.Relative)), StringComparison.Ordinal);
        using var nothing = await client.GetAsync(new Uri("/api/models", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, nothing.StatusCode);
        client.DefaultRequestHeaders.Authorization = new("Bearer", RunningServer.Token);
        using var accepted = await client.PostAsync(new Uri("/models-host/api/models/llama/load", UriKind.Relative), null);
        Assert.Equal((HttpStatusCode.Accepted, "/models-host/api/models/llama"), (accepted.StatusCode, accepted.Headers.Location!.ToString()));
    }

    [Theory]
    [InlineData(false, 401)]
    [InlineData(true, 200)]
    public async Task Application_that_others_reach_keeps_reads_closed_unless_it_guards_them_itself(bool openReads, int status)
    {
        await using var application = await ApplicationAsync(new StandInStore("llama"), "http://0.0.0.0:0", _ => { }, openReads);
        using var client = new HttpClient { BaseAddress = new Uri(application.Urls.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal)) };
        using var response = await client.GetAsync(new Uri("/models-host/api/models", UriKind.Relative));
        Assert.Equal(status, (int)response.StatusCode);
        using var action = await client.PostAsync(new Uri("/models-host/api/models/llama/load", UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.Forbidden, action.StatusCode);
    }

    [Fact]
    public async Task Application_that_registered_nothing_is_told_what_to_call()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        _ = builder.WebHost.UseKestrelCore();
        _ = builder.Services.AddRouting();
        await using var application = builder.Build();
        Assert.Contains("AddIlgpuLoaderHttp", Assert.Throws<InvalidOperationException>(() => application.MapIlgpuLoader()).Message, StringComparison.Ordinal);
    }

    private static async Task<WebApplication> ApplicationAsync(StandInStore store, string urls, Action<HttpOptions> configure, bool openReads, string? other = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        _ = builder.WebHost.UseKestrelCore().UseUrls(urls);
        _ = builder.Services.AddSingleton<IModelStore>(store).AddIlgpuLoaderHttp(configure);
        var application = builder.Build();
        _ = application.MapGet("/mine", () => "mine");
        _ = application.MapGroup("/models-host").MapIlgpuLoader(openReads);
        if (other is not null)
        {
            _ = application.MapGroup(other).MapIlgpuLoader();
        }

        await application.StartAsync();
        return application;
    }

    private sealed class WaitingService : BackgroundService
    {
        public TaskCompletionSource End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            try
            {
                await End.Task.WaitAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                // Asked to stop.
            }
        }
    }
}
