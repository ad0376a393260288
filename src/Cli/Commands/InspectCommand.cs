using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Shows what is in a checkpoint, from its headers alone unless statistics are asked for.</summary>
internal sealed class InspectCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<bool> _tree = new("--tree") { Description = "Show the tensors as a tree by the parts of their names." };
    private readonly Option<bool> _statistics = new("--stats")
    {
        Description = "Read all tensors and show minimum, maximum, mean, standard deviation (of the population), zeros, NaN and infinities.",
    };

    private readonly Option<bool> _full = new("--full")
    {
        Description = "Show all of the metadata: whole values, and all elements of long arrays.",
    };

    /// <inheritdoc/>
    public override string Name => "inspect";

    /// <inheritdoc/>
    protected override string Description =>
        "Shows format, files, metadata, configuration, tensors and totals of a checkpoint. Reads headers only, unless --stats asks for values.";

    /// <inheritdoc/>
    public override string Example => "inspect models/llama --tree";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        command.Add(_tree);
        command.Add(_statistics);
        command.Add(_full);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_tree) && parsed.GetValue(_statistics))
        {
            throw new UsageException("--tree has no room for the numbers of --stats; ask for one of them.");
        }

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
                    .RunAsync(console, "statistics", progress => StatisticsReader.ReadAsync(checkpoint, choice, progress, cancellationToken))
                    .ConfigureAwait(false)).ToDictionary(entry => entry.Tensor)
                : null;
            if (console.Json)
            {
                JsonOutput.Write(console.Out, Describe(checkpoint, tensors, unreadable, parsed.GetValue(_full), statistics), CliJsonContext.Default.InspectDocument);
            }
            else
            {
                WriteText(console.Out, checkpoint, tensors, unreadable, parsed.GetValue(_tree), parsed.GetValue(_full), statistics);
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

    private static InspectDocument Describe(
        Checkpoint checkpoint, TensorInfo[] tensors, UnreadableTensor[] unreadable, bool full, Dictionary<TensorInfo, TensorStatistics>? statistics)
    {
        var notes = new StorageNotes(checkpoint.Tensors);
        var perFile = checkpoint.Tensors.CountBy(tensor => tensor.File).ToDictionary();
        return new InspectDocument(
            checkpoint.Path,
            checkpoint.Format,
            [.. checkpoint.Files.Select(file =>
            {
                var header = file.Header as GgufHeader;
                return new InspectedFile(
                    file.Name, file.Path, file.Length, perFile.GetValueOrDefault(file), header?.Version, header?.IsBigEndian, header?.Alignment);
            })],
            checkpoint.Metadata.ToDictionary(entry => entry.Key, entry => new MetadataValue(entry.Value, full)),
            checkpoint.Config is { } config
                ? new InspectedConfig(
                    config.Path,
                    config.Architectures,
                    config.ModelType,
                    config.TorchDType,
                    config.LayerCount,
                    config.HiddenSize,
                    config.HeadCount,
                    config.KeyValueHeadCount,
                    config.VocabularySize,
                    config.QuantizationMethod)
                : null,
            Total(tensors),
            [.. tensors.Select(tensor => new InspectedTensor(
                tensor.Name,
                tensor.DType.Name,
                tensor.Shape,
                tensor.File.Name,
                tensor.DataOffset,
                tensor.DataByteLength,
                tensor.TiedTo,
                DescribedStatistics.Of(statistics?[tensor].Values),
                ListedView.Of(tensor, notes)))],
            [.. checkpoint.Warnings.Select(warning => warning.ToString())],
            unreadable.Length == 0
                ? null
                : [.. unreadable.Select(tensor => new InspectedUnreadable(
                    tensor.Name, tensor.TypeName, tensor.TypeId, tensor.Shape, tensor.File.Name, tensor.Offset))]);
    }

    private static InspectedTotals Total(TensorInfo[] tensors)
    {
        var (elements, bytes) = Sum(tensors);
        return new InspectedTotals(tensors.Length, elements, bytes, BitsPerWeight(elements, bytes), [.. TotalsByDType(tensors)]);
    }

    private static IEnumerable<InspectedDType> TotalsByDType(IEnumerable<TensorInfo> tensors) =>
        tensors.GroupBy(tensor => tensor.DType)
            .Select(group =>
            {
                var (elements, bytes) = Sum([.. group]);
                return new InspectedDType(group.Key.Name, group.Count(), elements, bytes, BitsPerWeight(elements, bytes));
            })
            .OrderByDescending(entry => entry.Bytes);

    private static (long Elements, long Bytes) Sum(TensorInfo[] tensors)
    {
        var stored = Stored(tensors).ToArray();
        // Views of one storage are elements of their own; without any, each tensor is a storage.
        return (
            stored.Sum(tensor => tensor.ElementCount),
            stored.All(tensor => tensor.IsWholeStorage) ? stored.Sum(tensor => tensor.ByteLength) : StorageNotes.StoredBytes(stored));
    }

    // Scales included, as people compare quantised files.
    private static double? BitsPerWeight(long elements, long bytes) => elements == 0 ? null : bytes * 8.0 / elements;

    // Bytes that several of these share are there once, also where the tensor that they are named after is not among them.
    private static IEnumerable<TensorInfo> Stored(TensorInfo[] tensors) => tensors.DistinctBy(tensor => tensor.TiedTo ?? tensor.Name);

    private static void WriteText(
        TextWriter output,
        Checkpoint checkpoint,
        TensorInfo[] tensors,
        UnreadableTensor[] unreadable,
        bool tree,
        bool full,
        Dictionary<TensorInfo, TensorStatistics>? statistics)
    {
        var version = checkpoint.Files[0].Header is GgufHeader header
            ? $" version {header.Version}{(header.IsBigEndian ? ", big-endian" : "")}, alignment {header.Alignment}"
            : "";
        output.WriteLine($"{Quoted.Plain(checkpoint.Path)}: {checkpoint.Format}{version}, {Sizes.Count(checkpoint.Files.Length, "file")}");
        var files = new TextTable("lr");
        foreach (var file in checkpoint.Files)
        {
            files.Add(Quoted.Plain(file.Name), Sizes.Format(file.Length));
        }

        files.WriteTo(output, "  ");
        WriteMetadata(output, checkpoint.Metadata, full);
        WriteConfig(output, checkpoint.Config);
        output.WriteLine();
        output.WriteLine("tensors");
        if (tree)
        {
            TensorTree.Build(tensors, new StorageNotes(checkpoint.Tensors)).WriteTo(output, "  ");
        }
        else if (statistics is not null)
        {
            WriteStatistics(output, tensors, statistics);
        }
        else
        {
            WriteTable(output, checkpoint, tensors, unreadable);
        }

        if (unreadable.Length > 0 && (tree || statistics is not null))
        {
            // The other two views are made of what can be read.
            output.WriteLine($"  and {Sizes.Count(unreadable.Length, "tensor")} of unknown types: {string.Join(", ", unreadable.Select(Shown))}");
        }

        WriteTotals(output, tensors);
    }

    private static void WriteTable(TextWriter output, Checkpoint checkpoint, TensorInfo[] tensors, UnreadableTensor[] unreadable)
    {
        var notes = new StorageNotes(checkpoint.Tensors);
        // All in the order of their bytes; what shares a place stays as it was.
        var rows = tensors
            .Select(tensor => (tensor.File, Offset: tensor.DataOffset, Cells: new[]
            {
                Quoted.Plain(tensor.Name),
                tensor.DType.Name,
                tensor.Shape.ToString(),
                Sizes.Format(tensor.DataByteLength),
                notes.Describe(tensor),
            }))
            .Concat(unreadable.Select(tensor => (tensor.File, tensor.Offset, Cells: new[]
            {
                Quoted.Plain(tensor.Name), tensor.TypeName, tensor.Shape.ToString(), "?", "",
            })));
        if (unreadable.Length > 0)
        {
            rows = rows.OrderBy(row => checkpoint.Files.IndexOf(row.File)).ThenBy(row => row.Offset);
        }

        var table = new TextTable("lllrl");
        foreach (var row in rows)
        {
            table.Add(row.Cells);
        }

        table.WriteTo(output, "  ");
    }

    private static string Shown(UnreadableTensor tensor) => $"{Quoted.Plain(tensor.Name)} ({tensor.TypeName})";

    private static void WriteStatistics(TextWriter output, TensorInfo[] tensors, Dictionary<TensorInfo, TensorStatistics> statistics)
    {
        var table = new TextTable("lll" + new string('r', StatisticsText.Heads.Length));
        table.Add(["", "", "", .. StatisticsText.Heads]);
        foreach (var tensor in tensors)
        {
            table.Add([Quoted.Plain(tensor.Name), tensor.DType.Name, tensor.Shape.ToString(), .. StatisticsText.Row(statistics[tensor].Values)]);
        }

        table.WriteTo(output, "  ");
    }

    private static void WriteMetadata(TextWriter output, IReadOnlyDictionary<string, object> metadata, bool full)
    {
        // A value may be a whole document (training arguments); its beginning tells what it is, --full has all of it.
        const int longestShown = 100;
        if (metadata.Count == 0)
        {
            return;
        }

        output.WriteLine();
        output.WriteLine("metadata");
        var table = new TextTable("ll");
        foreach (var (key, value) in metadata)
        {
            var text = new MetadataValue(value, full).ToText();
            if (text.Length > longestShown && !full)
            {
                // Cut before escaping and between characters, so that neither is torn.
                text = text[..(char.IsHighSurrogate(text[longestShown - 1]) ? longestShown - 1 : longestShown)] + "…";
            }

            table.Add(Quoted.Plain(key), Quoted.Plain(text));
        }

        table.WriteTo(output, "  ");
    }

    private static void WriteConfig(TextWriter output, ModelConfig? config)
    {
        if (config is null)
        {
            return;
        }

        output.WriteLine();
        output.WriteLine("config");
        var table = new TextTable("ll");
        Add("architecture", config.Architectures.IsEmpty ? null : string.Join(", ", config.Architectures));
        Add("model type", config.ModelType);
        Add("dtype", config.TorchDType);
        Add("layers", config.LayerCount);
        Add("hidden size", config.HiddenSize);
        Add("heads", config.HeadCount);
        Add("key/value heads", config.KeyValueHeadCount);
        Add("vocabulary", config.VocabularySize);
        Add("quantisation", config.QuantizationMethod);
        table.WriteTo(output, "  ");

        void Add(string name, object? value)
        {
            if (value is not null)
            {
                table.Add(name, Quoted.Plain($"{value}"));
            }
        }
    }

    private static void WriteTotals(TextWriter output, TensorInfo[] tensors)
    {
        output.WriteLine();
        output.WriteLine("totals");
        var total = Total(tensors);
        var table = new TextTable("lrrrr");
        table.Add("", "tensors", "parameters", "bytes", "bits/weight");
        foreach (var entry in total.ByDtype)
        {
            Add(entry.Dtype, entry.Tensors, entry.Elements, entry.Bytes, entry.BitsPerWeight);
        }

        Add("all", total.Tensors, total.Parameters, total.Bytes, total.BitsPerWeight);
        table.WriteTo(output, "  ");

        void Add(string name, int count, long parameters, long bytes, double? bits) => table.Add(
            name, Sizes.Count(count), Sizes.Count(parameters), Sizes.Format(bytes), bits is { } known ? $"{known:0.00}" : "");
    }
}
