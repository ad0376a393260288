using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What is in a checkpoint, as text and as a document.</summary>
/// <param name="checkpoint">The checkpoint.</param>
/// <param name="tensors">The tensors that are shown, in its order.</param>
/// <param name="unreadable">Those of unknown types that are shown.</param>
/// <param name="full">Whether all of the metadata is shown.</param>
/// <param name="statistics">What was computed of the tensors; null where nothing was.</param>
internal sealed class InspectReport(
    Checkpoint checkpoint, TensorInfo[] tensors, UnreadableTensor[] unreadable, bool full, Dictionary<TensorInfo, TensorStatistics>? statistics)
{
    /// <summary>The whole of it for programs.</summary>
    public InspectDocument ToDocument()
    {
        var notes = new StorageNotes(checkpoint.Tensors);
        var perFile = checkpoint.Tensors.CountBy(tensor => tensor.File).ToDictionary();
        return new InspectDocument(
            checkpoint.Path,
            checkpoint.Format,
            [.. checkpoint.Files.Select(file => Describe(file, perFile.GetValueOrDefault(file)))],
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
                    tensor.Name, tensor.TypeName, tensor.TypeId, tensor.Shape, tensor.File.Name, tensor.Offset))],
            checkpoint.WeightsRoot);
    }

    private static InspectedFile Describe(CheckpointFile file, int tensors) => file.Header switch
    {
        GgufHeader gguf => new InspectedFile(file.Name, file.Path, file.Length, tensors, gguf.Version, gguf.IsBigEndian, gguf.Alignment),
        TorchHeader torch => new InspectedFile(
            file.Name,
            file.Path,
            file.Length,
            tensors,
            torch.Version,
            torch.IsBigEndian,
            Container: torch.Container switch
            {
                TorchContainer.Zip => "zip",
                TorchContainer.TorchScript => "torchscript",
                TorchContainer.Stream => "stream",
                _ => "pickle",
            },
            Root: torch.Root,
            Protocol: torch.Protocol,
            Storages: torch.StorageCount),
        _ => new InspectedFile(file.Name, file.Path, file.Length, tensors),
    };

    private static string DescribeHeader(object? header)
    {
        switch (header)
        {
            case GgufHeader gguf:
                return $" version {gguf.Version}{(gguf.IsBigEndian ? ", big-endian" : "")}, alignment {gguf.Alignment}";
            case TorchHeader torch:
                var container = torch.Container switch
                {
                    TorchContainer.Zip => "zip archive",
                    TorchContainer.TorchScript => "torchscript archive",
                    TorchContainer.Stream => "stream (before 1.6)",
                    _ => "bare pickle",
                };
                var version = torch.Version is { } known ? $" version {known}" : "";
                var root = string.IsNullOrEmpty(torch.Root) ? "" : $" below {Quoted.Name(torch.Root)}";
                return $" {container}{version}{root}{(torch.IsBigEndian ? ", big-endian" : "")}, {Sizes.Count(torch.StorageCount, "storage")}";
            default:
                return "";
        }
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

    // Views of one storage are elements of their own; their bytes are there once.
    private static (long Elements, long Bytes) Sum(TensorInfo[] tensors) =>
        (Stored(tensors).Sum(tensor => tensor.ElementCount), StoredSize.Of(tensors));

    // Scales included, as people compare quantised files.
    private static double? BitsPerWeight(long elements, long bytes) => elements == 0 ? null : bytes * 8.0 / elements;

    // Bytes that several of these share are there once, also where the tensor that they are named after is not among them.
    private static IEnumerable<TensorInfo> Stored(TensorInfo[] tensors) => tensors.DistinctBy(tensor => tensor.TiedTo ?? tensor.Name);

    /// <summary>Writes it for people.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="tree">Whether the tensors are shown as a tree by the parts of their names.</param>
    public void WriteTo(TextWriter output, bool tree)
    {
        output.WriteLine($"{Quoted.Plain(checkpoint.Path)}: {checkpoint.Format}{DescribeHeader(checkpoint.Files[0].Header)}, {Sizes.Count(checkpoint.Files.Length, "file")}");
        var files = new TextTable("lr");
        foreach (var file in checkpoint.Files)
        {
            files.Add(Quoted.Plain(file.Name), Sizes.Format(file.Length));
        }

        files.WriteTo(output, "  ");
        if (checkpoint.WeightsRoot is { } root)
        {
            output.WriteLine($"  the weights lie below {Quoted.Name(root)}: --root {root} leaves the other tensors out");
        }

        WriteMetadata(output);
        WriteConfig(output, checkpoint.Config);
        output.WriteLine();
        output.WriteLine("tensors");
        if (tree)
        {
            TensorTree.Build(tensors, new StorageNotes(checkpoint.Tensors)).WriteTo(output, "  ");
        }
        else if (statistics is not null)
        {
            WriteStatistics(output, statistics);
        }
        else
        {
            WriteTable(output);
        }

        if (unreadable.Length > 0 && (tree || statistics is not null))
        {
            // The other two views are made of what can be read.
            output.WriteLine($"  and {Sizes.Count(unreadable.Length, "tensor")} of unknown types: {string.Join(", ", unreadable.Select(Shown))}");
        }

        WriteTotals(output);
    }

    private void WriteTable(TextWriter output)
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

    private void WriteStatistics(TextWriter output, Dictionary<TensorInfo, TensorStatistics> values)
    {
        var table = new TextTable("lll" + new string('r', StatisticsText.Heads.Length));
        table.Add(["", "", "", .. StatisticsText.Heads]);
        foreach (var tensor in tensors)
        {
            table.Add([Quoted.Plain(tensor.Name), tensor.DType.Name, tensor.Shape.ToString(), .. StatisticsText.Row(values[tensor].Values)]);
        }

        table.WriteTo(output, "  ");
    }

    private void WriteMetadata(TextWriter output)
    {
        // A value may be a whole document (training arguments); its beginning tells what it is, --full has all of it.
        const int longestShown = 100;
        if (checkpoint.Metadata.Count == 0)
        {
            return;
        }

        output.WriteLine();
        output.WriteLine("metadata");
        var table = new TextTable("ll");
        foreach (var (key, value) in checkpoint.Metadata)
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

    private void WriteTotals(TextWriter output)
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
