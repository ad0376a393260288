using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Compares two checkpoints.</summary>
internal sealed class DiffCommand : CommandBase
{
    // In the order in which the groups are written.
    private static readonly (TensorDifferences Flag, string Word)[] Words =
    [
        (TensorDifferences.Added, "added"),
        (TensorDifferences.Removed, "removed"),
        (TensorDifferences.DType, "dtype"),
        (TensorDifferences.Shape, "shape"),
        (TensorDifferences.Values, "values"),
        (TensorDifferences.Bytes, "bytes"),
    ];

    private readonly Argument<string> _left = new("A") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly Argument<string> _right = new("B") { Description = "The checkpoint that it is compared with." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<bool> _values = new("--values")
    {
        Description = "Read and compare values too, across dtypes as well. Two NaN are equal, and so are the two zeros.",
    };

    /// <inheritdoc/>
    public override string Name => "diff";

    /// <inheritdoc/>
    protected override string Description =>
        "Compares two checkpoints of any format, dtype and shards: names, dtypes, shapes and, with --values, values. "
        + "Ends with 6 where tensors differ, also where bytes alone do; metadata that differs is shown and does not count. "
        + "Ends with 5 where tensors could not be compared and no other differs.";

    /// <inheritdoc/>
    public override string Example => "diff models/llama models/llama-f32 --values";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_left);
        command.Add(_right);
        command.Add(_values);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var options = _checkpoint.Options(parsed);
        // A training checkpoint is compared with the weights that came of it: the root need only be in one of the two.
        var left = await OpenAsync(parsed.GetValue(_left)!, options, isRootOptional: true, cancellationToken).ConfigureAwait(false);
        await using (left.ConfigureAwait(false))
        {
            var right = await OpenAsync(parsed.GetValue(_right)!, options, isRootOptional: left.Root is not null, cancellationToken)
                .ConfigureAwait(false);
            await using (right.ConfigureAwait(false))
            {
                WriteWarnings(console, left.Warnings.Concat(right.Warnings));
                var comparison = await ProgressDisplay.RunAsync(
                    console,
                    "comparing",
                    progress => CheckpointComparer.CompareAsync(
                        left, right, parsed.GetValue(_values), _checkpoint.Choice(parsed), progress, cancellationToken)).ConfigureAwait(false);
                _checkpoint.WarnIfNothingChosen(console, comparison.Tensors.Length, left.Tensors.Length + right.Tensors.Length);
                if (console.Json)
                {
                    JsonOutput.Write(console.Out, Describe(left, right, comparison), CliJsonContext.Default.DiffDocument);
                }
                else
                {
                    WriteText(console, comparison);
                }

                return comparison.IsDifferent ? ExitCodes.Different
                    : comparison.IsComplete ? ExitCodes.Success
                    : ExitCodes.CannotDo;
            }
        }
    }

    private static async Task<Checkpoint> OpenAsync(
        string path, CheckpointOptions options, bool isRootOptional, CancellationToken cancellationToken)
    {
        try
        {
            return await Checkpoint.OpenAsync(path, options, cancellationToken).ConfigureAwait(false);
        }
        catch (InvalidCheckpointException exception) when (exception.Code == CheckpointErrorCode.RootMissing && isRootOptional)
        {
            return await Checkpoint.OpenAsync(path, options with { Root = null }, cancellationToken).ConfigureAwait(false);
        }
    }

    private static DiffTotals Count(CheckpointComparison comparison)
    {
        var (added, removed, changed, notCompared) = (0, 0, 0, 0);
        foreach (var tensor in comparison.Tensors)
        {
            added += tensor.Differences == TensorDifferences.Added ? 1 : 0;
            removed += tensor.Differences == TensorDifferences.Removed ? 1 : 0;
            changed += tensor is { Left: not null, Right: not null, Differences: not TensorDifferences.None } ? 1 : 0;
            notCompared += tensor is { Differences: TensorDifferences.None, Error: not null } ? 1 : 0;
        }

        return new DiffTotals(added, removed, changed, notCompared, comparison.Tensors.Length - added - removed - changed - notCompared);
    }

    private static DiffDocument Describe(Checkpoint left, Checkpoint right, CheckpointComparison comparison) => new(
        left.Path,
        right.Path,
        comparison.ComparedValues,
        comparison.IsDifferent,
        Count(comparison),
        [.. comparison.Tensors
            .Where(tensor => tensor.Differences != TensorDifferences.None || tensor.Error is not null)
            .Select(tensor => new DiffedTensor(
                tensor.Name,
                [.. Words.Where(word => tensor.Differences.HasFlag(word.Flag)).Select(word => word.Word)],
                Describe(tensor.Left),
                Describe(tensor.Right),
                tensor.Values is { } values ? Describe(tensor.Left!, values) : null,
                tensor.Error))],
        [.. comparison.Metadata.Select(entry => new DiffedMetadata(entry.Key, Text(entry.Left), Text(entry.Right)))]);

    private static DiffedSide? Describe(TensorInfo? tensor) =>
        tensor is null ? null : new DiffedSide(tensor.DType.Name, tensor.Shape, tensor.File.Name);

    private static DiffedValues Describe(TensorInfo tensor, ValueComparison values) => new(
        values.Count,
        values.DifferentCount,
        values.BytesOnlyCount,
        values.NaNAppeared,
        values.NaNDisappeared,
        values.Largest is { } largest
            ? new DiffedLargest(
                Index(tensor.Shape, largest.Element),
                PartName(tensor, largest),
                new DocumentValue(largest.Left),
                new DocumentValue(largest.Right),
                DocumentValue.Of(largest.Absolute))
            : null,
        DocumentValue.Of(values.LargestRelative));

    private static void WriteText(CommandConsole console, CheckpointComparison comparison)
    {
        var table = new TextTable("lll");
        foreach (var (flag, word) in Words)
        {
            foreach (var tensor in comparison.Tensors.Where(tensor => tensor.Differences.HasFlag(flag)))
            {
                table.Add(word, Quoted.Plain(tensor.Name), Explain(flag, tensor));
            }
        }

        foreach (var entry in comparison.Metadata)
        {
            table.Add("metadata", Quoted.Plain(entry.Key), $"{Shown(entry.Left)} -> {Shown(entry.Right)}");
        }

        table.WriteTo(console.Out);
        foreach (var tensor in comparison.Tensors.Where(tensor => tensor.Error is not null))
        {
            console.Error.WriteLine($"error: tensor {Quoted.Name(tensor.Name)} was not compared by value: {tensor.Error}");
        }

        var totals = Count(comparison);
        console.Out.WriteLine(
            $"{Sizes.Count(totals.Added)} added, {Sizes.Count(totals.Removed)} removed, {Sizes.Count(totals.Changed)} changed, "
            + (totals.NotCompared > 0 ? $"{Sizes.Count(totals.NotCompared)} not compared, " : "")
            + $"{Sizes.Count(totals.Equal)} equal"
            + (comparison.ComparedValues ? "" : " in dtype and shape (values were not compared: --values)")
            + (comparison.Metadata.IsEmpty ? "" : "; metadata differs, which does not count"));
    }

    private static string Explain(TensorDifferences flag, TensorComparison tensor) => flag switch
    {
        TensorDifferences.Added => $"{tensor.Right!.DType.Name} {tensor.Right.Shape}",
        TensorDifferences.Removed => $"{tensor.Left!.DType.Name} {tensor.Left.Shape}",
        TensorDifferences.DType => $"{tensor.Left!.DType.Name} -> {tensor.Right!.DType.Name}"
            + (tensor.Values is { DifferentCount: 0 } ? ", values are equal" : ""),
        TensorDifferences.Shape => $"{tensor.Left!.Shape} -> {tensor.Right!.Shape}",
        TensorDifferences.Values => Explain(tensor.Left!, tensor.Values!),
        _ when tensor.Values is { } values => $"{Sizes.Count(values.BytesOnlyCount, "element")} with other bytes and equal values",
        _ => "other bytes; the values cannot be decoded",
    };

    private static string Explain(TensorInfo tensor, ValueComparison values)
    {
        var text = $"{Sizes.Count(values.DifferentCount)} of {Sizes.Count(values.Count)} differ";
        if (values.Largest is { } largest)
        {
            var part = PartName(tensor, largest) is { } name ? $" ({name} part)" : "";
            text += $", largest {StatisticsText.Short(largest.Absolute)} at [{string.Join(", ", Index(tensor.Shape, largest.Element))}]{part} "
                + $"({StatisticsText.Full(largest.Left)} -> {StatisticsText.Full(largest.Right)})";
        }

        if (values.LargestRelative is { } relative)
        {
            text += $", largest relative {StatisticsText.Short(relative)}";
        }

        return text
            + (values.NaNAppeared > 0 ? $", {Sizes.Count(values.NaNAppeared)} NaN appeared" : "")
            + (values.NaNDisappeared > 0 ? $", {Sizes.Count(values.NaNDisappeared)} NaN disappeared" : "")
            + (values.BytesOnlyCount > 0 ? $", {Sizes.Count(values.BytesOnlyCount)} more in bytes only" : "");
    }

    private static string? PartName(TensorInfo tensor, LargestDifference largest) =>
        tensor.DType.Kind != DTypeKind.Complex ? null : largest.Part == 0 ? "real" : "imaginary";

    private static long[] Index(Shape shape, long element) =>
        [.. shape.RowMajorStrides().Select((stride, i) => element / stride % shape[i])];

    private static string Shown(object? value)
    {
        // As inspect: a value may be a whole document; --json has all of a text, and of a long array its beginning.
        const int longest = 60;
        var text = Text(value);
        return text is null ? "(none)"
            : text.Length > longest ? Quoted.Plain(text[..(char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest)]) + "…"
            : Quoted.Plain(text);
    }

    private static string? Text(object? value) => value is null ? null : new MetadataValue(value, IsFull: false).ToText();
}
