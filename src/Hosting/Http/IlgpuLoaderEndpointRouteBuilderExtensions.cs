using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace IlgpuLoader.Hosting;

/// <summary>Maps the HTTP face of the models among the endpoints of an application.</summary>
public static class IlgpuLoaderEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps <c>/healthz</c>, <c>/readyz</c>, <c>/metrics</c>, <c>/api/models</c> with what is below it, <c>/api/events</c>, and the page at <c>/</c> unless <see cref="HttpOptions.Page"/> is false. Needs
    /// <see cref="IlgpuLoaderHttpServiceCollectionExtensions.AddIlgpuLoaderHttp(Microsoft.Extensions.DependencyInjection.IServiceCollection, Action{HttpOptions}?)"/>.
    /// </summary>
    /// <param name="endpoints">The application's endpoints, or a group of them.</param>
    /// <param name="openReads">
    /// Whether what is read needs no token although others than this machine reach it: for applications that guard the endpoints themselves (<c>.RequireAuthorization()</c>). Loads, reloads and unloads
    /// need the token in any case, and with <see cref="HttpOptions.RequireTokenForReads"/> what is read does too. Default: false.
    /// </param>
    /// <returns>The endpoints, for conventions of the application.</returns>
    /// <exception cref="InvalidOperationException">The services are not registered.</exception>
    public static IEndpointConventionBuilder MapIlgpuLoader(this IEndpointRouteBuilder endpoints, bool openReads = false)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var face = endpoints.ServiceProvider.GetService<HttpFace>()
            ?? throw new InvalidOperationException("The HTTP face of the models is not registered: call services.AddIlgpuLoader(…) and services.AddIlgpuLoaderHttp().");
        return face.Map(endpoints, openReads);
    }
}
