using System.CommandLine;
using System.CommandLine.Completions;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses a device, or several that get the same.</summary>
internal static class DeviceOption
{
    // A command says what the device is for, and whether there may be several.
    private const string Choices = "One of 'devices', or auto for the best there is";

    /// <summary>The option for one device.</summary>
    public static Option<string> Create(string description) => Make($"{description} {Choices}.");

    /// <summary>The option for one device or several.</summary>
    public static Option<string> CreateForSeveral(string description) =>
        Make($"{description} {Choices}; or several, such as cuda:0,cuda:1, each of which gets every tensor, read once for all.");

    /// <summary>Opens the one device of that id.</summary>
    /// <exception cref="UsageException">Several are named.</exception>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device Open(string id) => id.Contains(DeviceGroup.Separator, StringComparison.Ordinal)
        ? throw new UsageException($"--device takes one device here, not '{id}': only load and plan take several.")
        : DeviceCatalog.Open(id);

    /// <summary>Opens the device of that id, or several whose ids have commas between them.</summary>
    /// <exception cref="UsageException">The devices named cannot be used together.</exception>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device OpenSeveral(string ids)
    {
        try
        {
            return DeviceCatalog.Open(ids);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    /// <summary>The words for where tensors are: on a device, or on each of several.</summary>
    public static string Describe(Device device) => device.Kind == DeviceKind.Group ? $"each of {device.Id}" : device.Id;

    private static Option<string> Make(string description)
    {
        var option = new Option<string>("--device")
        {
            Description = description,
            HelpName = "auto|host|meta",
            DefaultValueFactory = _ => DeviceCatalog.Auto,
        };
        option.CompletionSources.Add(_ => [new CompletionItem(DeviceCatalog.Auto), .. DeviceCatalog.List().Select(device => new CompletionItem(device.Id))]);
        return option;
    }
}
