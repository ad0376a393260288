using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Completions;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Shows one tensor: its first values, statistics and a histogram.</summary>
internal sealed class ShowCommand : CommandBase
{
    // A screen's worth; and what still is a look at a tensor, not a dump of it.
    private const int DefaultCount = 8;
    private const int LargestCount = 1000;

    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly Argument<string> _tensor = new("TENSOR") { Description = "The tensor's whole name." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<int> _count = new("--count")
    {
        Description = $"Show the first N values of each of the last two dimensions, at most {LargestCount}; 0 for none.",
        HelpName = "N",
        DefaultValueFactory = _ => DefaultCount,
    };

    private readonly Option<string> _device = DeviceOption.Create("The device that computes the statistics; the histogram and the extremes of 64-bit integers are computed on the host.", DeviceOption.Host);

    /// <inheritdoc/>
    public override string Name => "show";

    /// <inheritdoc/>
    protected override string Description =>
        "Shows one tensor: where it lies, its first values, minimum, maximum, mean, standard deviation (of the population), zeros, NaN, "
        + "infinities and a histogram. NaN and infinities are left out of all but their counts; complex numbers count as two values each.";

    /// <inheritdoc/>
    public override string Example => "show models/llama model.norm.weight --count 4";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _tensor.CompletionSources.Add(TensorNames);
        command.Add(_path);
        command.Add(_tensor);
        command.Add(_count);
        command.Add(_device);
        _checkpoint.AddTo(command);
    }

    // Whoever presses Tab gets names or nothing: what is wrong with the path is said when the command runs.
    private IEnumerable<CompletionItem> TensorNames(CompletionContext context)
    {
        var path = context.ParseResult.GetValue(_path);
        // Nobody waits for a network behind the Tab key.
        if (string.IsNullOrEmpty(path) || AddressScheme.Of(path) is not null)
        {
            return [];
        }

        try
        {
            // A completion is asked for by a process of its own, on a thread that may wait.
            var checkpoint = Checkpoint.OpenAsync(path, _checkpoint.Options(context.ParseResult)).GetAwaiter().GetResult();
            var names = checkpoint.Tensors.Select(tensor => tensor.Name).Where(name => name.StartsWith(context.WordToComplete, StringComparison.Ordinal));
            CompletionItem[] items = [.. names.Select(name => new CompletionItem(name))];
            checkpoint.DisposeAsync().AsTask().GetAwaiter().GetResult();
            return items;
        }
        catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var count = parsed.GetValue(_count);
        if (count is < 0 or > LargestCount)
        {
            throw new UsageException($"--count takes a number from 0 to {LargestCount}, not {count}.");
        }

        var device = DeviceOption.OpenForValues(console, parsed.GetValue(_device)!, "show");
        var checkpoint = await Checkpoint.OpenAsync(parsed.GetValue(_path)!, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            WriteWarnings(console, checkpoint.Warnings);
            var tensor = checkpoint[parsed.GetValue(_tensor)!];
            var notes = new StorageNotes(checkpoint.Tensors);
            var content = await ReadAsync(tensor, count, device, console, cancellationToken).ConfigureAwait(false);
            if (console.Json)
            {
                JsonOutput.Write(console.Out, Describe(checkpoint, tensor, content, notes), CliJsonContext.Default.ShowDocument);
            }
            else
            {
                WriteText(console.Out, tensor, content, notes);
            }

            return ExitCodes.Success;
        }
    }

    private sealed record ShownTensor(TensorCorner Corner, ValueStatistics Statistics, ImmutableArray<HistogramBin> Histogram);

    private static async Task<ShownTensor> ReadAsync(
        TensorInfo tensor, int count, Device device, CommandConsole console, CancellationToken cancellationToken)
    {
        var corner = await TensorCorner.ReadAsync(tensor, count, cancellationToken).ConfigureAwait(false);
        var statistics = await ProgressDisplay
            .RunAsync(console, "statistics", progress => StatisticsReader.ReadAsync(tensor, progress, device, cancellationToken)).ConfigureAwait(false);
        var histogram = await ProgressDisplay
            .RunAsync(
                console,
                "histogram",
                progress => StatisticsReader.ReadHistogramAsync(tensor, statistics, progress: progress, cancellationToken: cancellationToken))
            .ConfigureAwait(false);
        return new ShownTensor(corner, statistics, histogram);
    }

    private static ShowDocument Describe(Checkpoint checkpoint, TensorInfo tensor, ShownTensor content, StorageNotes notes) => new(
        checkpoint.Path,
        tensor.Name,
        tensor.DType.Name,
        tensor.Shape,
        tensor.File.Name,
        tensor.DataOffset,
        tensor.DataByteLength,
        new ShownValues(content.Corner.Index, content.Corner.Rows),
        DescribedStatistics.Of(content.Statistics),
        [.. content.Histogram.Select(bin => new ShownBin(DocumentValue.Of(bin.Lower), DocumentValue.Of(bin.Upper), bin.Count))],
        ListedView.Of(tensor, notes));

    private static void WriteText(TextWriter output, TensorInfo tensor, ShownTensor content, StorageNotes notes)
    {
        output.WriteLine(Quoted.Plain(tensor.Name));
        var facts = new TextTable("ll");
        facts.Add("dtype", tensor.DType.Name);
        facts.Add("shape", tensor.Shape.ToString());
        facts.Add("file", Quoted.Plain(tensor.File.Path));
        facts.Add("offset", Sizes.Count(tensor.DataOffset));
        facts.Add("bytes", tensor.DataByteLength < 1000 ? Sizes.Count(tensor.DataByteLength) : $"{Sizes.Count(tensor.DataByteLength)}  ({Sizes.Format(tensor.DataByteLength)})");
        if (notes.Describe(tensor) is { Length: > 0 } note && !tensor.IsWholeStorage)
        {
            facts.Add("storage", note);
        }

        facts.WriteTo(output, "  ");

        if (content.Corner.Rows.Length > 0)
        {
            output.WriteLine();
            output.WriteLine(content.Corner.Title);
            content.Corner.WriteTo(output);
        }

        output.WriteLine();
        output.WriteLine("statistics");
        StatisticsText.WriteTo(output, content.Statistics, tensor.DType.Kind == DTypeKind.Complex);
        if (!content.Histogram.IsEmpty)
        {
            output.WriteLine();
            output.WriteLine("histogram");
            HistogramText.WriteTo(output, content.Histogram);
        }
    }
}
