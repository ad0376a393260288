using IlgpuLoader.Loading;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace IlgpuLoader.Hosting;

/// <summary>Adds the store of models, and the service that fills it.</summary>
internal static class StoreRegistration
{
    /// <summary>Adds them, once however often it is called.</summary>
    public static void AddModelStore(IServiceCollection services)
    {
        services.TryAddSingleton(provider => new HostedAddresses(
            provider.GetService<RemoteOptions>() ?? RemoteOptions.FromEnvironment(), provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton<ModelStore>();
        services.TryAddSingleton<IModelStore>(provider => provider.GetRequiredService<ModelStore>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ModelLoadingService>());
    }
}
