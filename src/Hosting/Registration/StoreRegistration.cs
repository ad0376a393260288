using IlgpuLoader.Loading;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>Adds the store of models, and the service that fills it.</summary>
internal static class StoreRegistration
{
    /// <summary>Adds them, once however often it is called.</summary>
    public static void AddModelStore(IServiceCollection services)
    {
        services.TryAddSingleton(provider => new HostedAddresses(() => OptionsOf(provider), provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton<ModelStore>();
        services.TryAddSingleton<IModelStore>(provider => provider.GetRequiredService<ModelStore>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ModelLoadingService>());
    }

    private static RemoteOptions OptionsOf(IServiceProvider provider)
    {
        var options = provider.GetService<RemoteOptions>() ?? RemoteOptions.FromEnvironment();
        return options with { Logger = options.Logger ?? provider.GetRequiredService<ILoggerFactory>().CreateLogger("IlgpuLoader.Loading") };
    }
}
