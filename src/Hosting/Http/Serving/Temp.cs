using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace IlgpuLoader.Hosting;

internal static class Temp
{
    public static IServiceCollection AddIlgpuLoader(this IServiceCollection services, IConfiguration configuration) => throw new NotSupportedException($"{services} {configuration}");
}
