using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Adds the loading of models to a host.</summary>
/// <remarks>
/// All is added once, however often these are called, and nothing that is there already is replaced. The options are those of the configuration first, then those of code, whichever was
/// registered first. They are checked when the host starts: every wrong key and value is named in one <see cref="OptionsValidationException"/>.
/// </remarks>
public static class IlgpuLoaderServiceCollectionExtensions
{
    /// <summary>Adds the loader, with the options that the section <see cref="IlgpuLoaderOptions.SectionName"/> of the container's configuration has, if there is one.</summary>
    /// <param name="services">The services.</param>
    /// <returns>Adds models and devices.</returns>
    public static IlgpuLoaderBuilder AddIlgpuLoader(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(service => service.ServiceType == typeof(BoundSections)))
        {
            return new IlgpuLoaderBuilder(services);
        }

        // Who listens to metrics, reads logs or asks for health decides so elsewhere; all three are there in any case.
        _ = services.AddOptions();
        _ = services.AddLogging();
        _ = services.AddMetrics();
        _ = services.AddHealthChecks().AddIlgpuLoader();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ServiceLiveness>();
        services.TryAddSingleton<LoadTelemetry>();
        services.TryAddSingleton<NamedDevices>();
        services.TryAddSingleton<BoundSections>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<IlgpuLoaderOptions>, SectionConfiguration>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<IlgpuLoaderOptions>, IlgpuLoaderOptionsValidation>());
        _ = services.AddOptions<IlgpuLoaderOptions>().ValidateOnStart();
        StoreRegistration.AddModelStore(services);
        services.TryAddKeyedSingleton<IHostedModel>(KeyedService.AnyKey, FindModel);
        return new IlgpuLoaderBuilder(services);
    }

    /// <summary>Adds the loader with options that code sets, after those of the container's configuration.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options.</param>
    /// <returns>Adds models and devices.</returns>
    public static IlgpuLoaderBuilder AddIlgpuLoader(this IServiceCollection services, Action<IlgpuLoaderOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        var builder = AddIlgpuLoader(services);
        _ = services.Configure(configure);
        return builder;
    }

    /// <summary>Adds the loader with the options of a section, instead of <see cref="IlgpuLoaderOptions.SectionName"/>; of several, later ones win.</summary>
    /// <param name="services">The services.</param>
    /// <param name="section">The section that has <see cref="IlgpuLoaderOptions.Models"/> in it.</param>
    /// <returns>Adds models and devices.</returns>
    public static IlgpuLoaderBuilder AddIlgpuLoader(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        var builder = AddIlgpuLoader(services);
        _ = services.AddSingleton(new BoundSection(section));
        return builder;
    }

    private static IHostedModel FindModel(IServiceProvider services, object? name) =>
        services.GetRequiredService<IModelStore>()[name as string ?? throw new ArgumentException("A hosted model is the keyed service of its name, which is a string.", nameof(name))];
}
