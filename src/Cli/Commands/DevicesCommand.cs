using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Lists where tensors can go on this machine.</summary>
internal sealed class DevicesCommand : CommandBase
{
    /// <inheritdoc/>
    public override string Name => "devices";

    /// <inheritdoc/>
    protected override string Description => "Lists the devices of this machine, their memory and drivers, why one cannot be used, and whether ILGPU was compiled in.";

    /// <inheritdoc/>
    public override string Example => "devices --json";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
    }

    /// <inheritdoc/>
    protected override Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var devices = DeviceCatalog.List(out var problems);
        if (console.Json)
        {
            var document = new DevicesDocument(
                DeviceCatalog.IlgpuVersion,
                [.. devices.Select(device => new ListedDevice(
                    device.Id,
                    device.Kind.ToString().ToLowerInvariant(),
                    device.Name,
                    device.TotalMemory,
                    device.FreeMemory,
                    device.Unusable is null,
                    device.Unusable,
                    device.Driver,
                    device.InstructionSet))],
                problems);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.DevicesDocument);
            return Task.FromResult(ExitCodes.Success);
        }

        var table = new TextTable("llrrll");
        table.Add("device", "name", "memory", "free", "driver", "");
        foreach (var device in devices)
        {
            table.Add(
                device.Id,
                Quoted.Plain(device.Name),
                device.TotalMemory > 0 ? Sizes.Format(device.TotalMemory) : "",
                device.FreeMemory is { } free ? Sizes.Format(free) : "",
                string.Join(", ", new[] { device.Driver, device.InstructionSet }.OfType<string>().Select(text => Quoted.Plain(text))),
                device.Unusable is { } reason ? $"not usable: {Quoted.Plain(reason)}" : "");
        }

        table.WriteTo(console.Out);
        foreach (var problem in problems)
        {
            console.Warn(Quoted.Plain(problem));
        }

        console.Out.WriteLine(DeviceCatalog.IlgpuVersion is { } version
            ? $"ILGPU {version} is compiled in."
            : "ILGPU is not compiled in: no package source served it when this tool was built (eng/nuget-fallback/README.md).");
        return Task.FromResult(ExitCodes.Success);
    }
}
