using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>A model's parameters and what fills them, as text and as parts of documents.</summary>
/// <param name="model">The model.</param>
/// <param name="plan">What fills it.</param>
internal sealed class ModelReport(OpenedModel model, ModulePlan plan)
{
    // In text; the documents have all of them.
    private const int SourcesShown = 4;
    private const int NamesShown = 20;

    /// <summary>What the model is.</summary>
    public ModelDescription Description => new(
        Architecture,
        Layout,
        model.Context.DType.Name,
        model.Context.Parallel.WorldSize > 1 ? new PlannedRank(model.Context.Parallel.WorldSize, model.Context.Parallel.Rank) : null,
        model.Context.QuantizationMethod);

    /// <summary>The sums.</summary>
    public ModelTotals Totals => new(
        plan.Parameters.Length,
        plan.ParameterBytes,
        plan.Parameters.SelectMany(parameter => parameter.Sources).Select(source => source.Weight).Distinct(StringComparer.Ordinal).Count(),
        plan.Missing.Length,
        plan.Unexpected.Length,
        plan.Skipped.Length);

    /// <summary>What is read.</summary>
    public ModelReads Reads => new(
        plan.Reads.BytesToRead,
        plan.Reads.BytesNeeded,
        plan.Reads.Runs.Length,
        plan.Reads.Staging.Lanes,
        plan.Reads.Staging.Bytes,
        plan.PassingBytes,
        plan.ValueBytes,
        plan.RepeatedCount);

    /// <summary>The parameters.</summary>
    public IReadOnlyList<ListedParameter> Parameters =>
    [
        .. plan.Parameters.Select(parameter => new ListedParameter(
            parameter.Name,
            parameter.DType.Name,
            parameter.Shape,
            parameter.ByteLength,
            parameter.IsFilled,
            [.. parameter.Sources.Select(source => new ListedSource(source.Weight, source.Shard.Part, source.Shard.Expert, source.ElementCount))])),
    ];

    private string Architecture => model.Context.Config.Architectures is [var first, ..] ? first : "";

    private string Layout => ModelRegistry.Default.GetModelArchitecture(model.Context).Architecture;

    /// <summary>The whole of it for programs.</summary>
    /// <param name="path">The model's path, or what may be shown of its address.</param>
    public ModelDocument ToDocument(string path) => new(
        path,
        plan.Checkpoint.Path,
        Description,
        Totals,
        Parameters,
        [.. plan.Missing.Select(parameter => parameter.Name)],
        plan.Unexpected,
        [.. plan.Skipped.Select(weight => new ListedSkipped(weight.Name, weight.Reason))]);

    /// <summary>One line: what the model is.</summary>
    /// <param name="path">The model's path, or what may be shown of its address.</param>
    public string Headline(string path)
    {
        var parallel = model.Context.Parallel;
        var rank = parallel.WorldSize > 1 ? $", rank {parallel.Rank} of {parallel.WorldSize}" : "";
        var layout = Layout == Architecture ? "" : $" as {Quoted.Plain(Layout)}";
        var quantization = model.Context.QuantizationMethod is { } method ? $", quantised ({Quoted.Plain(method)})" : "";
        return $"{Quoted.Plain(path)}: {Quoted.Plain(Architecture)}{layout} in {model.Context.DType.Name}{quantization}{rank}: "
            + $"{Sizes.Count(plan.Parameters.Length, "parameter")}, {Sizes.Format(plan.ParameterBytes)}";
    }

    /// <summary>The text for people.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="path">The model's path, or what may be shown of its address.</param>
    public void WriteTo(TextWriter output, string path)
    {
        output.WriteLine(Headline(path));
        var table = new TextTable("lllrl");
        table.Add("parameter", "dtype", "shape", "size", "from");
        foreach (var parameter in plan.Parameters)
        {
            table.Add(
                Quoted.Plain(parameter.Name), parameter.DType.Name, parameter.Shape.ToString(), Sizes.Format(parameter.ByteLength), Sources(parameter));
        }

        table.WriteTo(output, "  ");
        WriteGaps(output);
    }

    /// <summary>What is missing, left over and skipped.</summary>
    /// <param name="output">Where it goes.</param>
    public void WriteGaps(TextWriter output)
    {
        WriteNames(output, "not filled", [.. plan.Missing.Select(parameter => parameter.Name)]);
        WriteNames(output, "go nowhere", plan.Unexpected);
        WriteSkipped(output);
    }

    /// <summary>What the model has no use for.</summary>
    /// <param name="output">Where it goes.</param>
    public void WriteSkipped(TextWriter output)
    {
        foreach (var reason in plan.Skipped.GroupBy(weight => weight.Reason))
        {
            WriteNames(output, $"not needed ({reason.Key})", [.. reason.Select(weight => weight.Name)]);
        }
    }

    private static string Sources(PlannedParameter parameter)
    {
        if (parameter.Sources.IsEmpty)
        {
            return parameter.IsRequired ? "nothing" : "nothing (optional)";
        }

        var shown = parameter.Sources
            .Take(SourcesShown)
            .Select(source => source.Shard == ShardId.None ? Quoted.Plain(source.Weight) : $"{Quoted.Plain(source.Weight)} ({source.Shard})");
        var more = parameter.Sources.Length > SourcesShown ? $", and {parameter.Sources.Length - SourcesShown} more" : "";
        var partly = parameter.IsFilled ? "" : $"; only {parameter.WrittenElements} of {parameter.Shape.ElementCount} elements";
        return string.Join(", ", shown) + more + partly;
    }

    private static void WriteNames(TextWriter output, string title, IReadOnlyList<string> names)
    {
        if (names.Count > 0)
        {
            var more = names.Count > NamesShown ? $", and {names.Count - NamesShown} more" : "";
            output.WriteLine($"  {Sizes.Count(names.Count)} {title}: {string.Join(", ", names.Take(NamesShown).Select(Quoted.Plain))}{more}");
        }
    }
}
