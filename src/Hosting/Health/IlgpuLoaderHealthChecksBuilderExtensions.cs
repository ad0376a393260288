using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Adds the health checks of hosted models.</summary>
public static class IlgpuLoaderHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds the checks <see cref="IlgpuLoaderHealth.ModelsCheck"/> and <see cref="IlgpuLoaderHealth.LoadingServiceCheck"/>, once however often it is called.
    /// <c>AddIlgpuLoader</c> of the services has done so already.
    /// </summary>
    /// <param name="builder">The health checks of a container that has the loader.</param>
    public static IHealthChecksBuilder AddIlgpuLoader(this IHealthChecksBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton<ServiceLiveness>();
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<HealthCheckServiceOptions>, RegisteredChecks>());
        return builder;
    }

    // Checks are kept by their names, of which two are an error; what configures their options is kept by its type, so that there is one of it.
    private sealed class RegisteredChecks : IConfigureOptions<HealthCheckServiceOptions>
    {
        public void Configure(HealthCheckServiceOptions options)
        {
            options.Registrations.Add(new HealthCheckRegistration(
                IlgpuLoaderHealth.ModelsCheck, services => new ModelsHealthCheck(services.GetRequiredService<IModelStore>()), failureStatus: null, [IlgpuLoaderHealth.ReadyTag]));
            options.Registrations.Add(new HealthCheckRegistration(
                IlgpuLoaderHealth.LoadingServiceCheck,
                services => new LoadingServiceHealthCheck(services.GetRequiredService<ServiceLiveness>()),
                failureStatus: null,
                [IlgpuLoaderHealth.LiveTag]));
        }
    }
}
