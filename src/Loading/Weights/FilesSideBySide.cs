using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads several files at the same time, and gives the weights of one after the other.
/// </summary>
/// <remarks>
/// Each worker has an equal part of staging, of the window and of the lanes, so that all together stay within them, however many files there are and
/// whatever their size. A file that fits into a worker's part of the window is loaded whole, and has arrived when all of it is there. Of a larger one the worker
/// reads as much as fits; it has arrived with its first weight, and is read on while it is taken. A worker goes on to the next file when its own has been
/// taken, since what waits is still its part.
/// </remarks>
internal sealed class FilesSideBySide
{
    private readonly ImmutableArray<ImmutableArray<LoadPlan>> _files;
    private readonly int _workers;
    private readonly bool _inOrder;

    private FilesSideBySide(ImmutableArray<ImmutableArray<LoadPlan>> files, int workers, bool inOrder) =>
        (_files, _workers, _inOrder) = (files, workers, inOrder);

    /// <summary>Plans the reading.</summary>
    /// <param name="count">How many files there are.</param>
    /// <param name="workers">How many are read at the same time at most.</param>
    /// <param name="load">What all workers together may take.</param>
    /// <param name="plan">Makes the plans of a file for a worker's options.</param>
    /// <param name="inOrder">Whether files are given in their order, not in that of their arrival.</param>
    public static FilesSideBySide Plan(int count, int workers, LoadOptions load, Func<int, LoadOptions, ImmutableArray<LoadPlan>> plan, bool inOrder = false)
    {
        // A worker without a slot could not read at all.
        workers = (int)Math.Max(1, Math.Min(Math.Min(workers, count), load.StagingBytes / StagingLayout.SmallestSlot));
        var part = load with
        {
            StagingBytes = load.StagingBytes / workers,
            StreamWindowBytes = load.StreamWindowBytes / workers,
            Lanes = workers == 1 ? load.Lanes : Math.Max(1, (load.Lanes ?? StagingLayout.DefaultLanes) / workers),
        };
        return new FilesSideBySide([.. Enumerable.Range(0, count).Select(i => PlanFile(i))], workers, inOrder);

        ImmutableArray<LoadPlan> PlanFile(int file)
        {
            var plans = plan(file, part);
            if (IsLoadedWhole(plans))
            {
                return plans;
            }

            // The worker holds a weight that the stream has given: with what still is in the stream it is within the part.
            var largest = plans.SelectMany(plan => plan.Tensors.Select(plan.MemoryOf)).Max();
            return plan(file, part with { StreamWindowBytes = Math.Max(0, part.StreamWindowBytes - largest) });
        }
    }

    /// <summary>Gives the weights.</summary>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var shared = new SharedProgress(progress, _files.SelectMany(plans => plans));
        shared.Begin();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var arrived = Channel.CreateUnbounded<ArrivedFile>(new UnboundedChannelOptions { SingleReader = true });
        var waiting = new SortedDictionary<int, ArrivedFile>();
        var next = -1;
        var workers = Task.WhenAll(Enumerable.Range(0, _workers).Select(_ => Task.Run(() => WorkAsync(stop.Token), CancellationToken.None)));
        var ending = EndAsync();
        try
        {
            for (var given = 0; given < _files.Length; given++)
            {
                var file = await TakeAsync(given).ConfigureAwait(false);
                await using (file.ConfigureAwait(false))
                {
                    while (await file.NextAsync().ConfigureAwait(false) is { } weight)
                    {
                        yield return weight;
                    }
                }
            }
        }
        finally
        {
            // The workers have ended before what nobody took is freed, also when the caller leaves in the middle.
            await stop.CancelAsync().ConfigureAwait(false);
            await ending.ConfigureAwait(false);
            while (arrived.Reader.TryRead(out var file))
            {
                waiting.Add(file.Index, file);
            }

            foreach (var file in waiting.Values)
            {
                await file.DisposeAsync().ConfigureAwait(false);
            }
        }

        async Task<ArrivedFile> TakeAsync(int index)
        {
            ArrivedFile? file;
            while (!_inOrder || !waiting.Remove(index, out file))
            {
                try
                {
                    file = await arrived.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (ChannelClosedException closed) when (closed.InnerException is { } failure)
                {
                    // What failed is what the caller is told, as it was.
                    System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
                    throw;
                }

                if (!_inOrder || file.Index == index)
                {
                    break;
                }

                waiting.Add(file.Index, file);
            }

            return file;
        }

        async Task WorkAsync(CancellationToken token)
        {
            try
            {
                for (var index = Interlocked.Increment(ref next); index < _files.Length; index = Interlocked.Increment(ref next))
                {
                    var file = new ArrivedFile(index, WeightsOf(_files[index], shared).GetAsyncEnumerator(token));
                    try
                    {
                        await file.BeginAsync().ConfigureAwait(false);
                    }
                    catch
                    {
                        await file.DisposeAsync().ConfigureAwait(false);
                        throw;
                    }

                    if (!arrived.Writer.TryWrite(file))
                    {
                        // Another worker has failed.
                        await file.DisposeAsync().ConfigureAwait(false);
                        return;
                    }

                    await file.Taken.WaitAsync(token).ConfigureAwait(false);
                }
            }
            catch (Exception exception)
            {
                // The first failure ends the others: no file can come behind it.
                arrived.Writer.TryComplete(exception);
                throw;
            }
        }

        async Task EndAsync()
        {
            await workers.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            arrived.Writer.TryComplete();
        }
    }

    private static IAsyncEnumerable<Weight> WeightsOf(ImmutableArray<LoadPlan> plans, SharedProgress progress) =>
        IsLoadedWhole(plans)
            ? FileWeights.LoadAsync(plans, progress.Of, CancellationToken.None)
            : FileWeights.StreamAsync(plans, progress.Of, CancellationToken.None);

    private static bool IsLoadedWhole(ImmutableArray<LoadPlan> plans) =>
        plans.IsEmpty || plans.Sum(plan => plan.DestinationBytes) <= plans[0].Options.StreamWindowBytes;

    // A file whose first weight is there. Begun by a worker, taken by the consumer, never by both at the same time.
    private sealed class ArrivedFile(int index, IAsyncEnumerator<Weight> weights) : IAsyncDisposable
    {
        private readonly TaskCompletionSource _taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private Weight? _first;

        public int Index => index;

        public Task Taken => _taken.Task;

        public async Task BeginAsync() => _first = await weights.MoveNextAsync().ConfigureAwait(false) ? weights.Current : null;

        public async ValueTask<Weight?> NextAsync()
        {
            if (_first is { } first)
            {
                _first = null;
                return first;
            }

            return await weights.MoveNextAsync().ConfigureAwait(false) ? weights.Current : null;
        }

        public async ValueTask DisposeAsync()
        {
            _first?.Dispose();
            await weights.DisposeAsync().ConfigureAwait(false);
            _taken.TrySetResult();
        }
    }
}
