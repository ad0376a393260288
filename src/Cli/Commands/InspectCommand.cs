using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Shows what is in a checkpoint, from its headers alone unless statistics are asked for.</summary>
internal sealed partial class InspectCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly ModelArguments _model = new("With --model, the parameters of one of N tensor-parallel ranks; without --rank of rank 0.", asksLauncher: false);
    private readonly Option<bool> _tree = new("--tree") { Description = "Show the tensors as a tree by the parts of their names." };
    private readonly Option<bool> _statistics = new("--stats")
    {
        Description = "Read all tensors and show minimum, maximum, mean, standard deviation (of the population), zeros, NaN and infinities.",
    };

    private readonly Option<string> _device = DeviceOption.Create("The device that computes --stats.", DeviceOption.Host);

    private readonly Option<bool> _full = new("--full")
    {
        Description = "Show all of the metadata: whole values, and all elements of long arrays.",
    };

    /// <inheritdoc/>
    public override string Name => "inspect";

    /// <inheritdoc/>
    protected override string Description =>
        "Shows format, files, metadata, configuration, tensors and totals of a checkpoint, or with --model the parameters of its architecture and what fills them. Reads headers only, unless --stats asks for values.";

    /// <inheritdoc/>
    public override string Example => "inspect models/llama --tree";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_tree);
        command.Add(_statistics);
        command.Add(_device);
        command.Add(_full);
        _model.AddTo(command);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        _model.Check(parsed);
        if (_model.IsAsked(parsed))
        {
            return await InspectModelAsync(parsed, console, cancellationToken).ConfigureAwait(false);
        }

        if (_model.WorldSize(parsed) is not null)
        {
            throw new UsageException($"{_model.WorldSizeName} is for --model here: tensors are listed whole ('plan' shows a rank's share of each).");
        }

        if (parsed.GetValue(_tree) && parsed.GetValue(_statistics))
        {
            throw new UsageException("--tree has no room for the numbers of --stats; ask for one of them.");
        }

        // Headers need no device, and whoever names one expects it to be used.
        if (!parsed.GetValue(_statistics) && parsed.GetResult(_device) is { Implicit: false })
        {
            throw new UsageException("--device says what computes --stats; ask for these too, or leave it out.");
        }

        var device = parsed.GetValue(_statistics) ? DeviceOption.OpenForValues(console, parsed.GetValue(_device)!, "inspect") : HostDevice.Shared;
        var checkpoint = await Checkpoint.OpenAsync(
            // Whoever looks at a file wants to see also what cannot be loaded.
            parsed.GetValue(_path)!, _checkpoint.Options(parsed) with { ListUnreadableTensors = true }, cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            var choice = _checkpoint.Choice(parsed);
            var tensors = checkpoint.Tensors.Where(tensor => choice.Includes(tensor.Name)).ToArray();
            UnreadableTensor[] unreadable = [.. checkpoint.UnreadableTensors.Where(tensor => choice.Includes(tensor.Name))];
            WriteWarnings(console, checkpoint.Warnings);
            WarnOfUnreadable(console, unreadable);
            _checkpoint.WarnIfNothingChosen(
                console, tensors.Length + unreadable.Length, checkpoint.Tensors.Length + checkpoint.UnreadableTensors.Length);
            var statistics = parsed.GetValue(_statistics)
                ? (await ProgressDisplay
                    .RunAsync(console, "statistics", progress => StatisticsReader.ReadAsync(checkpoint, choice, progress, device, cancellationToken))
                    .ConfigureAwait(false)).ToDictionary(entry => entry.Tensor)
                : null;
            var report = new InspectReport(checkpoint, tensors, unreadable, parsed.GetValue(_full), statistics);
            if (console.Json)
            {
                JsonOutput.Write(console.Out, report.ToDocument() with { Fetched = _checkpoint.Remote.Fetched }, CliJsonContext.Default.InspectDocument);
            }
            else
            {
                report.WriteTo(console.Out, parsed.GetValue(_tree));
            }

            return ExitCodes.Success;
        }
    }

    // The table marks each of them; a warning a type says why, and there may be a hundred thousand of one.
    private static void WarnOfUnreadable(CommandConsole console, UnreadableTensor[] unreadable)
    {
        foreach (var tensors in unreadable.GroupBy(tensor => tensor.TypeName))
        {
            var first = tensors.First();
            var more = tensors.Skip(1).Any() ? $" (and {Sizes.Count(tensors.Count() - 1, "more tensor")})" : "";
            console.Warn($"tensor {Quoted.Name(first.Name)}{more}: {first.Reason}");
        }
    }
}
