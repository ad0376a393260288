using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Registers the HTTP face of the models; the models themselves are registered apart.</summary>
public static class IlgpuLoaderHttpServiceCollectionExtensions
{
    /// <summary>Registers what <see cref="IlgpuLoaderEndpointRouteBuilderExtensions.MapIlgpuLoader"/> maps, with the section <see cref="HttpOptions.SectionName"/> of the container's configuration where it has one.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Changes the options behind the configuration; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddIlgpuLoaderHttp(this IServiceCollection services, Action<HttpOptions>? configure = null) =>
        Add(services, provider => provider.GetService<IConfiguration>()?.GetSection(HttpOptions.SectionName), configure);

    /// <summary>Registers what <see cref="IlgpuLoaderEndpointRouteBuilderExtensions.MapIlgpuLoader"/> maps.</summary>
    /// <param name="services">The services.</param>
    /// <param name="section">The section that the options are bound from.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddIlgpuLoaderHttp(this IServiceCollection services, IConfigurationSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return Add(services, _ => section, configure: null);
    }

    // Below that of the models.
    private static string SectionKey => HttpOptions.SectionName[(IlgpuLoaderOptions.SectionName.Length + 1)..];

    private static IServiceCollection Add(IServiceCollection services, Func<IServiceProvider, IConfigurationSection?> section, Action<HttpOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        _ = services.AddRouting();
        _ = services.AddMetrics();
        _ = services.AddHealthChecks();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<PrometheusMetrics>();
        services.TryAddSingleton(provider => ListenAddresses.Of(provider.GetRequiredService<IServer>(), provider.GetRequiredService<IHostApplicationLifetime>()));
        services.TryAddSingleton<HttpFace>();
        services.TryAddSingleton(_ => new PageFiles(typeof(HttpFace).Assembly));
        if (!services.Any(service => service.ServiceType == typeof(HttpOptionsReader)))
        {
            _ = services.AddSingleton(new KnownSection(SectionKey, typeof(HttpOptions)));
            _ = services.AddSingleton(provider => new HttpOptionsReader(section(provider)));
            _ = services.AddSingleton<IConfigureOptions<HttpOptions>>(provider => provider.GetRequiredService<HttpOptionsReader>());
            _ = services.AddSingleton<IValidateOptions<HttpOptions>>(provider => provider.GetRequiredService<HttpOptionsReader>());
            _ = services.AddOptions<HttpOptions>().ValidateOnStart();
        }

        if (configure is not null)
        {
            _ = services.Configure(configure);
        }

        return services;
    }
}
