using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Shows what a load would read, make and take, without loading anything.</summary>
internal sealed partial class PlanCommand : CommandBase
{
    private readonly Argument<string> _path = new("PATH") { Description = "A checkpoint file, folder or index, or its address (hf://, ms://, https://, s3://)." };
    private readonly CheckpointArguments _checkpoint = new();
    private readonly LoadArguments _load = new();
    private readonly ModelArguments _model = new("Plan for one of N tensor-parallel ranks; without --rank for rank 0, with the bytes of all of them.", asksLauncher: false);

    /// <inheritdoc/>
    public override string Name => "plan";

    /// <inheritdoc/>
    protected override string Description =>
        "Shows what a load would read, and whether it fits into memory: bytes, runs, conversions, slices, shards. Reads headers "
        + "only and allocates nothing. Ends with 7 where it does not fit.";

    /// <inheritdoc/>
    public override string Example => "plan models/llama --dtype bf16 --tp 4 --rank 0";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_path);
        _load.AddTo(command);
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
            return await PlanModelAsync(parsed, console, cancellationToken).ConfigureAwait(false);
        }

        var parallel = _model.Parallel(parsed);
        var options = _load.Options(parsed, console, _checkpoint.Choice(parsed)) with
        {
            TensorParallel = parallel,
        };
        var checkpoint = await _load
            .OpenUnchangedAsync(parsed, console, parsed.GetValue(_path)!, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            WriteWarnings(console, checkpoint.Warnings);
            var plan = LoadArguments.MakePlan(checkpoint, options);
            _checkpoint.WarnIfNothingChosen(console, plan.Tensors.Length, checkpoint.Tensors.Length);
            _load.WarnIfLanesDoNotFit(console, plan);
            _model.WarnIfNothingIsSplit(console, plan);
            var ranks = parallel is not null && !_model.NamesRank(parsed) ? PlanRanks(plan, parallel.WorldSize, cancellationToken) : null;
            var report = new PlanReport(plan, _load.DType(parsed), ranks) { Download = _checkpoint.Remote.Plan(checkpoint) };
            if (console.Json)
            {
                JsonOutput.Write(console.Out, report.ToDocument() with { Fetched = _checkpoint.Remote.Fetched }, CliJsonContext.Default.PlanDocument);
            }
            else
            {
                report.WriteTo(console.Out, _load.Become(parsed));
            }

            foreach (var need in report.Memory.Where(need => !need.Fits))
            {
                await console.Error.WriteLineAsync(
                    $"error: {need.Device.Id}: {need.NeededBytes} bytes are needed and {need.FreeBytes} are free. Load fewer tensors "
                    + "(--include, --exclude), a smaller --dtype, over more ranks (--tp), or onto another device.").ConfigureAwait(false);
            }

            return report.Fits ? ExitCodes.Success : ExitCodes.DeviceOrMemory;
        }
    }

    private static List<PlannedRankBytes> PlanRanks(LoadPlan first, int worldSize, CancellationToken cancellationToken)
    {
        var ranks = new List<PlannedRankBytes>();
        for (var rank = 0; rank < worldSize; rank++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var plan = LoadArguments.MakePlan(first.Checkpoint, first.Options with { TensorParallel = new TensorParallel(worldSize, rank) });
            ranks.Add(new PlannedRankBytes(rank, plan.BytesToRead, plan.BytesNeeded, plan.DestinationBytes));
        }

        return ranks;
    }
}
