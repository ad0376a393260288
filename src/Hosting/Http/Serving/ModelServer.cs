using System.Collections;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>
/// A process that does nothing but serve models: the loading service and its HTTP face on Kestrel, configured by a file, the environment and a command line. An application that has endpoints of its own maps
/// them (<see cref="IlgpuLoaderEndpointRouteBuilderExtensions.MapIlgpuLoader"/>) instead. Not safe for several threads.
/// </summary>
public sealed class ModelServer : IAsyncDisposable
{
    // More than loads that run side by side by default keep busy, and nothing where they are idle.
    private const int SpareThreads = 16;

    // A third of what Kubernetes gives a container that is to end (30 s), so that it is never killed for it. Connections and loads end in less than a second; the time is for large memory to be freed.
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    private readonly WebApplication _application;
    private readonly ServiceManager _manager;
    private readonly string _urls;

    private ModelServer(WebApplication application, ServiceManager manager, string urls) => (_application, _manager, _urls) = (application, manager, urls);

    /// <summary>The addresses that it listens on, with the ports that the system has chosen where 0 was asked for; empty until it has started.</summary>
    public IReadOnlyList<string> Addresses => [.. _application.Urls];

    /// <summary>The models.</summary>
    public IModelStore Models => _application.Services.GetRequiredService<IModelStore>();

    /// <summary>Its services.</summary>
    internal IServiceProvider Services => _application.Services;

    /// <summary>Makes a server; nothing is opened yet.</summary>
    /// <param name="options">What it serves.</param>
    /// <returns>A server, which the caller disposes.</returns>
    /// <exception cref="FileNotFoundException">The configuration file is not there.</exception>
    /// <exception cref="OptionsValidationException">The configuration is wrong; the exception has all that is.</exception>
    public static ModelServer Create(ModelServerOptions options) => Create(options, Environment.GetEnvironmentVariables(), static (services, section) => services.AddIlgpuLoader(section));

    /// <summary>Makes a server of other services.</summary>
    /// <param name="options">What it serves.</param>
    /// <param name="environment">The variables.</param>
    /// <param name="addLoader">Registers the store and the health checks.</param>
    internal static ModelServer Create(ModelServerOptions options, IDictionary environment, Action<IServiceCollection, IConfigurationSection> addLoader)
    {
        ArgumentNullException.ThrowIfNull(options);
        // Empty: no file, variable or argument but ours gets into the configuration.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "ilgpu-loader" });
        ServerConfiguration.AddTo(builder.Configuration, options, environment);
        AddLogging(builder.Logging, builder.Configuration, options.LogLevel ?? LogLevel.Information);

        var services = builder.Services;
        var section = builder.Configuration.GetSection(IlgpuLoaderOptions.SectionName);
        addLoader(services, section);
        var httpSection = builder.Configuration.GetSection(HttpOptions.SectionName);
        _ = services.AddIlgpuLoaderHttp(httpSection);
        var reader = new HttpOptionsReader(httpSection);
        var http = new HttpOptions();
        reader.Configure(http);
        // What is listened on is known before anything listens.
        _ = services.AddSingleton(_ => ListenAddresses.Of(http.Urls));
        _ = services.AddSingleton<ConnectionEnd>();
        _ = services.Configure<HostOptions>(host =>
        {
            host.ServicesStopConcurrently = true;
            host.ShutdownTimeout = StopTimeout;
        });
        // Signals are the caller's business.
        _ = services.AddSingleton<IHostLifetime, NoLifetime>();
        _ = builder.WebHost.UseKestrelCore();
        _ = builder.WebHost.UseKestrelHttpsConfiguration();
        if (reader.Validate(null, http).Succeeded)
        {
            // Else Kestrel would say what is wrong, before everything else is looked at.
            _ = services.Configure<KestrelServerOptions>(kestrel => Configure(kestrel, http));
        }

        var application = builder.Build();
        try
        {
            Validate(application.Services, http);
            foreach (var url in ServerAddresses.Split(http.Urls))
            {
                application.Urls.Add(url);
            }

            var face = application.Services.GetRequiredService<HttpFace>();
            _ = face.Map(application, openReads: false);
            face.MapRest(application);
            return new ModelServer(application, ServiceManager.Of(environment, application.Services.GetRequiredService<ILogger<ServiceManager>>()), http.Urls);
        }
        catch
        {
            ((IDisposable)application).Dispose();
            throw;
        }
    }

    /// <summary>Begins to load and to listen.</summary>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="IOException">An address cannot be listened on.</exception>
    /// <exception cref="Exception">What ended a service before the server listened, as with <see cref="WaitAsync"/>; all services are stopped.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        KeepThreadsForRequests();
        try
        {
            await _application.StartAsync(cancellationToken).ConfigureAwait(false);
            _manager.Ready();
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // What has started before the address was tried.
            await _application.StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw ListenFailure.Of(exception, _urls);
        }
        catch (OperationCanceledException) when (_application.Lifetime.ApplicationStopping.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // A service has failed, which stops the host, and the start with it.
            await EndAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Serves until it is asked to stop or a service has failed, and frees what is loaded.</summary>
    /// <param name="cancellationToken">Asks it to stop; that is no failure.</param>
    /// <exception cref="Exception">What ended a service, such as a model that could not be loaded where the options say that the host stops then.</exception>
    public async Task WaitAsync(CancellationToken cancellationToken = default)
    {
        var lifetime = _application.Lifetime;
        var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (lifetime.ApplicationStopping.Register(() => stopping.TrySetResult()))
        using (cancellationToken.Register(lifetime.StopApplication))
        {
            await stopping.Task.ConfigureAwait(false);
        }

        await EndAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _application.DisposeAsync();

    // Stops, and throws what ended a service.
    private async Task EndAsync()
    {
        _manager.Stopping();
        ExceptionDispatchInfo? stopFailed = null;
        try
        {
            await _application.StopAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception)
        {
            // Nobody cancels it but the time.
            stopFailed = ExceptionDispatchInfo.Capture(new TimeoutException($"What is loaded was not freed within {StopTimeout.TotalSeconds:0} s; the system frees it with the process.", exception));
        }
#pragma warning disable CA1031 // A service that failed is the reason; what stopping said is given where there is none.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            stopFailed = ExceptionDispatchInfo.Capture(exception);
        }

        foreach (var service in Services.GetServices<IHostedService>().OfType<BackgroundService>())
        {
            if (service.ExecuteTask is { IsFaulted: true } failed)
            {
                await failed.ConfigureAwait(false);
            }
        }

        stopFailed?.Throw();
    }

    // Files are opened and loads planned on threads of the pool, which has as many as processors at first, and two more a second at best: requests would wait behind them. The process is the server's.
    private static void KeepThreadsForRequests()
    {
        ThreadPool.GetMinThreads(out var workers, out var completions);
        _ = ThreadPool.SetMinThreads(Math.Max(workers, Environment.ProcessorCount + SpareThreads), completions);
    }

    // All problems of all options at once, before anything is opened.
    private static void Validate(IServiceProvider services, HttpOptions http)
    {
        var problems = new List<string>();
        try
        {
            services.GetService<IStartupValidator>()?.Validate();
        }
        catch (OptionsValidationException exception)
        {
            problems.AddRange(exception.Failures);
        }
        catch (AggregateException exception)
        {
            problems.AddRange(exception.InnerExceptions.SelectMany(inner => inner is OptionsValidationException options ? options.Failures : [inner.Message]));
        }

        var token = TokenFile.Read(http, out var tokenProblem);
        var addressProblems = ServerAddresses.Problems(http, hasToken: token is not null || tokenProblem is not null).ToList();
        problems.AddRange(addressProblems);
        if (token?.Length < TokenFile.ShortestToken && addressProblems.Count == 0 && ServerAddresses.AreReachedByOthers(http.Urls))
        {
            var key = http.TokenFile is null ? nameof(HttpOptions.Token) : nameof(HttpOptions.TokenFile);
            problems.Add($"{HttpOptions.SectionName}:{key}: the token has fewer than {TokenFile.ShortestToken} characters, and others than this machine may try; take a longer one (openssl rand -hex 32)");
        }

        if (problems.Count > 0)
        {
            // The loader's own check names the keys of its sections too.
            throw new OptionsValidationException(IlgpuLoaderOptions.SectionName, typeof(ModelServerOptions), problems.Distinct(StringComparer.Ordinal));
        }
    }

    private static void Configure(KestrelServerOptions kestrel, HttpOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.ConfigureEndpointDefaults(listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            _ = listen.Use(listen.ApplicationServices.GetRequiredService<ConnectionEnd>().Around);
        });
        kestrel.Limits.MaxConcurrentConnections = options.MaximumConnections;
        // What the endpoints hold bodies against, which are chunked in the worst case: Kestrel counts the frames of chunks, six bytes of a byte.
        kestrel.Limits.MaxRequestBodySize = 8L * options.MaximumBodyBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = options.MaximumHeaderBytes;
        kestrel.Limits.MaxRequestLineSize = Math.Min(kestrel.Limits.MaxRequestLineSize, options.MaximumHeaderBytes);
        kestrel.Limits.MaxRequestBufferSize = Math.Max(kestrel.Limits.MaxRequestLineSize, options.MaximumHeaderBytes) + options.MaximumBodyBytes;
        kestrel.Limits.RequestHeadersTimeout = options.HeaderTimeout;
        if (options.CertificateFile is not null)
        {
            kestrel.ConfigureHttpsDefaults((HttpsConnectionAdapterOptions https) =>
            {
                https.ServerCertificate = HttpOptionsReader.ReadCertificate(options);
                https.ServerCertificateChain = HttpOptionsReader.ReadCertificateChain(options);
            });
        }
    }

    private static void AddLogging(ILoggingBuilder logging, ConfigurationManager configuration, LogLevel level)
    {
        _ = logging.SetMinimumLevel(LogLevel.Warning)
            .AddFilter("IlgpuLoader", level)
            // Once a probe, an error for what the probe is told already.
            .AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None)
            // What ends the host is thrown, and reported once.
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None)
            .AddConfiguration(configuration.GetSection("Logging"))
            .AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                console.UseUtcTimestamp = true;
            });
        // Data goes to standard output.
        _ = logging.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
