using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <content><c>plan --model</c>: what filling a model's parameters would read and take.</content>
internal sealed partial class PlanCommand
{
    private async Task<int> PlanModelAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var path = parsed.GetValue(_path)!;
        var checkpointOptions = _checkpoint.Options(parsed);
        var load = _load.Options(parsed, console, _checkpoint.Choice(parsed));
        var model = await _model
            .OpenAsync(
                parsed,
                console,
                path,
                weights => _load.OpenUnchangedAsync(parsed, console, weights, checkpointOptions, cancellationToken),
                checkpointOptions,
                load.DType,
                cancellationToken)
            .ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            WriteWarnings(console, model.Checkpoint.Warnings);
            var options = await _model.OptionsAsync(parsed, load, model, neverStrict: false, cancellationToken).ConfigureAwait(false);
            var plan = ModelArguments.MakePlan(model, options, cancellationToken);
            var report = new ModelReport(model, plan);
            var memory = plan.Reads.MemoryNeeds(checked(plan.ParameterBytes + plan.PassingBytes));
            var fits = memory.All(need => need.Fits);
            var ranks = model.Context.Parallel.WorldSize > 1 && !_model.NamesRank(parsed) ? PlanModelRanks(model, options, cancellationToken) : null;
            if (console.Json)
            {
                var document = new ModelPlanDocument(
                    AddressScheme.WithoutSecrets(path),
                    plan.Checkpoint.Path,
                    plan.Reads.Device.Id,
                    fits,
                    report.Description,
                    report.Totals,
                    report.Reads,
                    [.. memory.Select(need => new PlannedMemory(need.Device.Id, need.NeededBytes, need.TensorBytes, need.StagingBytes, need.FreeBytes, need.TotalBytes, need.Fits))],
                    ranks,
                    report.Parameters);
                JsonOutput.Write(console.Out, document, CliJsonContext.Default.ModelPlanDocument);
            }
            else
            {
                console.Out.WriteLine(report.Headline(AddressScheme.WithoutSecrets(path)));
                WriteReads(console.Out, plan);
                foreach (var need in memory)
                {
                    console.Out.WriteLine(
                        $"  {need.Device.Id}: {Sizes.Format(need.NeededBytes)} needed, {Sizes.Format(need.FreeBytes)} free of {Sizes.Format(need.TotalBytes)}: {(need.Fits ? "fits" : "does not fit")}");
                }

                report.WriteGaps(console.Out);
                WriteModelRanks(console.Out, ranks);
            }

            foreach (var need in memory.Where(need => !need.Fits))
            {
                await console.Error.WriteLineAsync(
                    $"error: {need.Device.Id}: {need.NeededBytes} bytes are needed and {need.FreeBytes} are free. Take a smaller --dtype, more ranks (--tp), or another device.").ConfigureAwait(false);
            }

            return fits ? ExitCodes.Success : ExitCodes.DeviceOrMemory;
        }
    }

    private static void WriteReads(TextWriter output, ModulePlan plan)
    {
        var reads = plan.Reads;
        var table = new TextTable("lrrl");
        table.Add("read", Sizes.Format(reads.BytesToRead), Sizes.Count(reads.BytesToRead), $"bytes in {Sizes.Count(reads.Runs.Length, "run")} over {Sizes.Count(reads.Staging.Lanes, "lane")}");
        table.Add("needed", Sizes.Format(reads.BytesNeeded), Sizes.Count(reads.BytesNeeded), "bytes of them");
        PlanReport.AddGapsTo(table, reads);
        if (plan.ValueLoaderCount > 0)
        {
            table.Add("values", Sizes.Format(plan.ValueBytes), Sizes.Count(plan.ValueBytes), $"bytes for {Sizes.Count(plan.ValueLoaderCount, "loader")} that compute with them");
        }

        table.Add("parameters", Sizes.Format(plan.ParameterBytes), Sizes.Count(plan.ParameterBytes), $"bytes on {DeviceOption.Describe(reads.Device)}");
        if (plan.PassingBytes > 0)
        {
            table.Add("passing", Sizes.Format(plan.PassingBytes), Sizes.Count(plan.PassingBytes), "bytes at most, on the way to places that do not lie as the file has them");
        }

        table.Add("staging", Sizes.Format(reads.Staging.Bytes), Sizes.Count(reads.Staging.Bytes), "bytes of the host");
        table.WriteTo(output, "  ");
        if (plan.RepeatedCount > 0)
        {
            output.WriteLine($"  {Sizes.Count(plan.RepeatedCount, "place")} filled from what is read for another");
        }
    }

    private static List<PlannedRankBytes> PlanModelRanks(OpenedModel model, ModuleLoadOptions options, CancellationToken cancellationToken)
    {
        var ranks = new List<PlannedRankBytes>();
        // What there is to warn of was said of the first.
        options = options with { Warnings = null };
        for (var rank = 0; rank < model.Context.Parallel.WorldSize; rank++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var context = model.Context with { Parallel = new TensorParallel(model.Context.Parallel.WorldSize, rank), Warnings = WarningLog.None };
            using var module = ModelInitializer.Initialize(context);
            var plan = new ModuleLoader().Plan(module, model.Checkpoint, options, cancellationToken);
            ranks.Add(new PlannedRankBytes(rank, plan.Reads.BytesToRead, plan.Reads.BytesNeeded, plan.ParameterBytes));
        }

        return ranks;
    }

    private static void WriteModelRanks(TextWriter output, List<PlannedRankBytes>? ranks)
    {
        if (ranks is null)
        {
            return;
        }

        output.WriteLine("  ranks");
        var table = new TextTable("lrrr");
        table.Add("rank", "read", "needed", "parameters");
        foreach (var rank in ranks)
        {
            table.Add($"{rank.Rank}", Sizes.Format(rank.BytesToRead), Sizes.Format(rank.BytesNeeded), Sizes.Format(rank.Bytes));
        }

        table.WriteTo(output, "    ");
    }
}
