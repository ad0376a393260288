using Microsoft.Extensions.Configuration;

namespace IlgpuLoader.Hosting;

/// <summary>A section that the options are to be read from.</summary>
/// <param name="Configuration">The section.</param>
internal sealed record BoundSection(IConfiguration Configuration);
