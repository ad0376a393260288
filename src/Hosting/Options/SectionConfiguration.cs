using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Sets the options that the configuration has. What is wrong in it is left out, and named when the options are checked (<see cref="IlgpuLoaderOptionsValidation"/>).</summary>
/// <param name="sections">The sections.</param>
/// <param name="others">Sections in them that belong to other options.</param>
internal sealed class SectionConfiguration(BoundSections sections, IEnumerable<KnownSection> others) : IConfigureOptions<IlgpuLoaderOptions>
{
    /// <inheritdoc/>
    public void Configure(IlgpuLoaderOptions options)
    {
        foreach (var section in sections.All)
        {
            _ = SectionReader.Read(section, options, others);
        }
    }
}
