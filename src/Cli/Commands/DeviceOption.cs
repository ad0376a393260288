using System.CommandLine;
using System.CommandLine.Completions;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses a device.</summary>
internal static class DeviceOption
{
    public static Option<string> Create(string description)
    {
        var option = new Option<string>("--device")
        {
            Description = $"{description} One of 'devices', or auto for the best there is.",
            HelpName = "auto|host|meta",
            DefaultValueFactory = _ => DeviceCatalog.Auto,
        };
        option.CompletionSources.Add(_ => [new CompletionItem(DeviceCatalog.Auto), .. DeviceCatalog.List().Select(device => new CompletionItem(device.Id))]);
        return option;
    }

    /// <summary>Opens the device of that id.</summary>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device Open(string id) => DeviceCatalog.Open(id);
}
