using System.Collections.Immutable;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace IlgpuLoader.Hosting;

/// <summary>
/// The sections that the options are read from, in their order: those that were given, else <see cref="IlgpuLoaderOptions.SectionName"/> of the container's configuration. Immutable.
/// </summary>
internal sealed class BoundSections
{
    /// <summary>Finds them.</summary>
    /// <param name="given">Those that were given.</param>
    /// <param name="services">What has the container's configuration, if there is one.</param>
    public BoundSections(IEnumerable<BoundSection> given, IServiceProvider services)
    {
        All = [.. given.Select(section => section.Configuration)];
        if (All.IsEmpty && services.GetService<IConfiguration>() is { } configuration)
        {
            All = [configuration.GetSection(IlgpuLoaderOptions.SectionName)];
        }

        Path = All.IsEmpty ? IlgpuLoaderOptions.SectionName : (All[^1] as IConfigurationSection)?.Path ?? "";
    }

    /// <summary>The sections; later ones win.</summary>
    public ImmutableArray<IConfiguration> All { get; }

    /// <summary>The path of the last of them, where messages say that a key is.</summary>
    public string Path { get; }
}
