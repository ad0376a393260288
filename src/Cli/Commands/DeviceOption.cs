using System.CommandLine;
using System.CommandLine.Completions;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses a device.</summary>
internal static class DeviceOption
{
    /// <summary>The id of the host, on which commands that only look at values work unless they are told otherwise.</summary>
    public const string Host = "host";

    public static Option<string> Create(string description, string byDefault = DeviceCatalog.Auto)
    {
        var option = new Option<string>("--device")
        {
            Description = $"{description} One of 'devices', or auto for the best there is.",
            HelpName = "auto|host|meta",
            DefaultValueFactory = _ => byDefault,
        };
        option.CompletionSources.Add(_ => [new CompletionItem(DeviceCatalog.Auto), .. DeviceCatalog.List().Select(device => new CompletionItem(device.Id))]);
        return option;
    }

    /// <summary>Opens the device of that id.</summary>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device Open(string id) => DeviceCatalog.Open(id);

    /// <summary>Opens the device of that id, to compute on it.</summary>
    /// <param name="id">The id.</param>
    /// <param name="purpose">What values are wanted for, behind "has no values to".</param>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    /// <exception cref="UsageException">It has no values.</exception>
    public static Device OpenForValues(string id, string purpose) => WithValues(Open(id), purpose);

    /// <summary>The device, if it has values.</summary>
    /// <exception cref="UsageException">It has none.</exception>
    public static Device WithValues(Device device, string purpose) => device.Kind == DeviceKind.Meta
        ? throw new UsageException($"The device '{device.Id}' has no values to {purpose}; choose one that has, such as --device host.")
        : device;
}
