using System.CommandLine;
using System.CommandLine.Completions;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses a device, or several that get the same.</summary>
internal static class DeviceOption
{
    /// <summary>The id of the host, on which commands that only look at values work unless they are told otherwise.</summary>
    public const string Host = "host";

    // A command says what the device is for, and whether there may be several.
    private const string Choices = "One of 'devices'; auto is the first CUDA GPU, else the host, never an OpenCL device";
    private const string WithValuesName = "auto|host|cuda:N|opencl:N";

    /// <summary>The option for one device that works on values.</summary>
    public static Option<string> Create(string description, string byDefault = DeviceCatalog.Auto)
    {
        var option = Make($"{description} {Choices}.", WithValuesName, byDefault);
        option.CompletionSources.Add(_ => [new CompletionItem(DeviceCatalog.Auto), .. Usable().Where(HasValues).Select(device => new CompletionItem(device.Id))]);
        return option;
    }

    /// <summary>The option for one device or several.</summary>
    public static Option<string> CreateForSeveral(string description)
    {
        var option = Make(
            $"{description} {Choices}. Several, such as cuda:0,cuda:1, each get every tensor, read once for all.", $"{WithValuesName}|meta", DeviceCatalog.Auto);
        option.CompletionSources.Add(context => Continue(context.WordToComplete).Select(id => new CompletionItem(id)));
        return option;
    }

    /// <summary>Opens the one device of that id.</summary>
    /// <param name="console">Where it says which GPUs <c>auto</c> has passed over, and why.</param>
    /// <param name="id">The id.</param>
    /// <exception cref="UsageException">Several are named, or none.</exception>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device Open(CommandConsole console, string id) => id.Contains(DeviceGroup.Separator, StringComparison.Ordinal)
        ? throw new UsageException($"--device takes one device here, not '{id}': only load and plan take several.")
        : OpenSeveral(console, id);

    /// <summary>Opens the device of that id, or several whose ids have commas between them.</summary>
    /// <param name="console">Where it says which GPUs <c>auto</c> has passed over, and why.</param>
    /// <param name="ids">The ids.</param>
    /// <exception cref="UsageException">The devices named cannot be used together.</exception>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    public static Device OpenSeveral(CommandConsole console, string ids)
    {
        try
        {
            return OpenAny(console, ids);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    /// <summary>The words for where tensors are: on a device, or on each of several.</summary>
    public static string Describe(Device device) => device.Kind == DeviceKind.Group ? $"each of {device.Id}" : device.Id;

    // On the host all goes well, only many times slower than was expected: whoever has a GPU is told.
    private static Device OpenAny(CommandConsole console, string ids)
    {
        var device = DeviceCatalog.Open(ids, out var problems);
        if (problems.Count > 0)
        {
            console.Warn($"{DeviceCatalog.Auto} chose {device.Id}: {string.Join(' ', problems.Select(problem => Quoted.Plain(problem)))}");
        }

        return device;
    }

    private static Option<string> Make(string description, string names, string byDefault) => new("--device")
    {
        Description = description,
        HelpName = names,
        DefaultValueFactory = _ => byDefault,
    };

    // Behind a comma what goes into a group, each device once.
    private static IEnumerable<string> Continue(string word)
    {
        var comma = word.LastIndexOf(DeviceGroup.Separator);
        if (comma < 0)
        {
            return [DeviceCatalog.Auto, .. Usable().Select(device => device.Id)];
        }

        var named = word[..comma].Split(DeviceGroup.Separator, StringSplitOptions.TrimEntries);
        return Usable().Where(device => HasValues(device) && !named.Contains(device.Id)).Select(device => word[..(comma + 1)] + device.Id);
    }

    private static IEnumerable<DeviceDescription> Usable() => DeviceCatalog.List().Where(device => device.Unusable is null);

    private static bool HasValues(DeviceDescription device) => device.Kind != DeviceKind.Meta;

    /// <summary>Opens the device of that id, to compute on it.</summary>
    /// <param name="console">Where it says which GPUs <c>auto</c> has passed over, and why.</param>
    /// <param name="id">The id.</param>
    /// <param name="purpose">What values are wanted for, behind "has no values to".</param>
    /// <exception cref="DeviceUnavailableException">There is none, or it cannot be used.</exception>
    /// <exception cref="UsageException">It has no values.</exception>
    public static Device OpenForValues(CommandConsole console, string id, string purpose) => WithValues(Open(console, id), purpose);

    /// <summary>The device, if it has values.</summary>
    /// <exception cref="UsageException">It has none.</exception>
    public static Device WithValues(Device device, string purpose) => device.Kind == DeviceKind.Meta
        ? throw new UsageException($"The device '{device.Id}' has no values to {purpose}; choose one that has, such as --device host.")
        : device;
}
