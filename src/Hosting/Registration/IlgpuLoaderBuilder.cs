using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using Microsoft.Extensions.DependencyInjection;

namespace IlgpuLoader.Hosting;

/// <summary>Adds models and devices to a host that loads models (<c>services.AddIlgpuLoader()</c>). Used by one thread, while services are registered.</summary>
public sealed class IlgpuLoaderBuilder
{
    internal IlgpuLoaderBuilder(IServiceCollection services) => Services = services;

    /// <summary>The services that the loader was added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>
    /// Adds a model, or changes one that is there. What code says comes after all configuration, so that <paramref name="configure"/> sees what a file has of the model, and what it sets wins.
    /// </summary>
    /// <param name="name">1 to 64 letters, digits, <c>.</c>, <c>_</c> and <c>-</c>, not all of them dots; upper and lower case are the same. The model is the keyed service of this name.</param>
    /// <param name="configure">Sets the options.</param>
    /// <exception cref="ArgumentException">The name has other characters, none, or more.</exception>
    public IlgpuLoaderBuilder AddModel(string name, Action<HostedModelOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!ModelName.IsValid(name))
        {
            throw new ArgumentException(ModelName.Describe(name), nameof(name));
        }

        _ = Services.Configure<IlgpuLoaderOptions>(options =>
        {
            if (!options.Models.TryGetValue(name, out var model))
            {
                options.Models[name] = model = new HostedModelOptions();
            }

            configure(model);
        });
        return this;
    }

    /// <summary>Adds a model at a path, with the defaults where configuration says nothing else; or changes the path of one that is there.</summary>
    /// <param name="name">The name, as of <see cref="AddModel(string, Action{HostedModelOptions})"/>.</param>
    /// <param name="path">The checkpoint: a file, a folder or an index, or its address.</param>
    /// <inheritdoc cref="AddModel(string, Action{HostedModelOptions})" path="/exception"/>
    public IlgpuLoaderBuilder AddModel(string name, string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return AddModel(name, model => model.Path = path);
    }

    /// <summary>Says how models are reached that are no local files. Default: what the environment says (<c>HF_TOKEN</c>, <c>HF_HOME</c> and others).</summary>
    /// <param name="options">The options; <see cref="RemoteOptions.Access"/> is each model's own (<see cref="HostedModelOptions.Stream"/>), and <see cref="RemoteOptions.Connections"/> holds for each.</param>
    public IlgpuLoaderBuilder UseRemote(RemoteOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        // What is said last counts.
        _ = Services.AddSingleton(options);
        return this;
    }

    /// <summary>
    /// Gives the host a device under a name that <see cref="HostedModelOptions.Device"/> may have; it is the keyed service of that name too. It stays its owner's, who keeps it until the host
    /// has stopped, and all leases are over.
    /// </summary>
    /// <param name="name">The name, without commas and spaces; upper and lower case differ. It goes before an id that is the same.</param>
    /// <param name="device">The device.</param>
    /// <exception cref="ArgumentException">The name is empty, or has a comma or a space.</exception>
    public IlgpuLoaderBuilder AddDevice(string name, Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        _ = AddDevice(name, _ => device);
        // As an instance, which a container never disposes.
        _ = Services.AddKeyedSingleton(name, device);
        return this;
    }

    /// <summary>
    /// Gives the host a device that is made when the first model goes to it, and kept. It is not disposed, and no keyed service: a container would dispose it, maybe while tensors are on it.
    /// </summary>
    /// <param name="name">The name, as of <see cref="AddDevice(string, Device)"/>.</param>
    /// <param name="device">Makes the device; called once.</param>
    /// <inheritdoc cref="AddDevice(string, Device)" path="/exception"/>
    public IlgpuLoaderBuilder AddDevice(string name, Func<IServiceProvider, Device> device)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(device);
        if (name.Any(character => character == DeviceGroup.Separator || char.IsWhiteSpace(character)))
        {
            throw new ArgumentException($"'{name}' is no name of a device: it has a comma, which separates the devices of a group, or a space.", nameof(name));
        }

        _ = Services.AddSingleton(new NamedDevice(name, device));
        return this;
    }
}
