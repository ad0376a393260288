using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>A device that the host was given under a name of its own.</summary>
/// <param name="Name">The name, which <see cref="HostedModelOptions.Device"/> has.</param>
/// <param name="Make">Gives the device.</param>
internal sealed record NamedDevice(string Name, Func<IServiceProvider, Device> Make);
