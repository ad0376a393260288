using System.Collections.Concurrent;
using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Carries a plan out: shard after shard, the lanes side by side within a shard.</summary>
internal sealed class Conversion(
    Checkpoint checkpoint, ConversionPlan plan, ConversionLayout layout, ConversionOptions options, ProgressTally progress)
{
    private readonly ConcurrentDictionary<string, long> _overflows = new();

    public Checkpoint Checkpoint => checkpoint;

    public ConversionPlan Plan => plan;

    public ConversionOptions Options => options;

    /// <summary>What was beyond the dtype it was converted to, in the order of names.</summary>
    public ImmutableArray<TensorOverflow> Overflows =>
        [.. _overflows.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => new TensorOverflow(pair.Key, pair.Value))];

    /// <summary>Writes every shard and forces it to disk, the disk working on one while the lanes fill the next.</summary>
    /// <param name="create">Begins the file of a shard, by its number from 0; called once a shard, in order.</param>
    /// <param name="cancellationToken">Ends the work within one piece, or one forcing to disk.</param>
    public async Task RunAsync(Func<int, Task<ITensorWriter>> create, CancellationToken cancellationToken)
    {
        // Once and in order, before lanes race for them.
        options.Device.Prepare(plan.Tensors.Where(tensor => tensor.IsConverted).Select(tensor => (tensor.Source.DType, tensor.DType)));
        var lanes = new List<ConversionLane>();
        var finishing = Task.CompletedTask;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            for (var i = 0; i < layout.Lanes; i++)
            {
                lanes.Add(new ConversionLane(options.Device, layout));
            }

            for (var shard = 0; shard < plan.Shards.Length; shard++)
            {
                var writer = await create(shard).ConfigureAwait(false);
                try
                {
                    await FillAsync(writer, plan.Shards[shard], lanes, stop.Token).ConfigureAwait(false);
                    await finishing.ConfigureAwait(false);
                }
                catch
                {
                    await writer.DisposeAsync().ConfigureAwait(false);
                    // Where the disk has failed with the shard before, that is why this one was stopped.
                    await finishing.ConfigureAwait(false);
                    throw;
                }

                finishing = FinishAsync(writer, stop);
            }

            await finishing.ConfigureAwait(false);
        }
        finally
        {
            await finishing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (var lane in lanes)
            {
                lane.Dispose();
            }
        }
    }

    private async Task FillAsync(ITensorWriter writer, OutputShard shard, List<ConversionLane> lanes, CancellationToken cancellationToken)
    {
        using var pieces = new PieceQueue(shard, checkpoint.Files, layout);
        await LaneThreads.RunAsync(
            lanes.Count,
            (lane, token) => lanes[lane].RunAsync(pieces, writer, Written, token),
            cancellationToken).ConfigureAwait(false);
        await TensorPieces.EnsureUnchangedAsync(shard.Tensors.Select(tensor => tensor.Source), cancellationToken).ConfigureAwait(false);
    }

    private void Written(Piece piece, long overflows)
    {
        if (overflows > 0)
        {
            _overflows.AddOrUpdate(piece.Tensor.Name, overflows, (_, before) => before + overflows);
        }

        progress.Add(piece.ByteLength, piece.IsLast);
    }

    // A failure ends the lanes, which are at the next shard by now.
    private static async Task FinishAsync(ITensorWriter writer, CancellationTokenSource stop)
    {
        await using (writer.ConfigureAwait(false))
        {
            try
            {
                await writer.CommitAsync(stop.Token).ConfigureAwait(false);
            }
            catch
            {
                await stop.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }
    }
}
