using Polly;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads ranges of remote files into memory, so many at the same time as there are connections, whatever files they are of. What is cut goes on where it was. Safe for any thread.
/// </summary>
internal sealed class RemoteReading : IDisposable
{
    /// <summary>A connection that brings less before it is cut has brought nothing: else a server that cuts after every byte would be asked a million times for a MiB.</summary>
    public const int LeastProgressBytes = 64 << 10;

    private readonly SemaphoreSlim _turns;

    /// <summary>Reads nothing yet.</summary>
    /// <param name="options">The number of connections, the size of ranges, and how often is tried again.</param>
    /// <param name="time">The clock of the waits.</param>
    public RemoteReading(RemoteOptions options, TimeProvider time)
    {
        Options = options;
        Bodies = new OnePassBodies(options.Connections);
        _turns = new SemaphoreSlim(options.Connections, options.Connections);
        Retries = RemoteRetry.Create<RemoteException?>(options, time, cut => cut is not null, cut => (cut!.Address, cut.Problem));
    }

    /// <summary>How remote files are read.</summary>
    public RemoteOptions Options { get; }

    /// <summary>Runs what reads a body once more where it is cut: the result is the cut, null for none.</summary>
    public ResiliencePipeline<RemoteException?> Retries { get; }

    /// <summary>The bodies of files that can only be read once.</summary>
    public OnePassBodies Bodies { get; }

    /// <summary>Fills memory with bytes of a file, in ranges of at most <see cref="RemoteOptions.RangeBytes"/>, side by side.</summary>
    /// <param name="file">The file, which takes ranges.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="destination">Where they go; nobody writes there any more when the task has ended, however it did.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <inheritdoc cref="IRemoteObject.OpenRangeAsync" path="/exception"/>
    public async Task ReadAsync(IRemoteObject file, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        if (destination.Length <= Options.RangeBytes)
        {
            await ReadRangeAsync(file, offset, destination, cancellationToken).ConfigureAwait(false);
            return;
        }

        await Parallel.ForAsync(
            0,
            // The sum can be above 2 GiB.
            (int)(((long)destination.Length + Options.RangeBytes - 1) / Options.RangeBytes),
            new ParallelOptions { MaxDegreeOfParallelism = Options.Connections, CancellationToken = cancellationToken },
            async (index, token) =>
            {
                var start = index * Options.RangeBytes;
                var part = destination.Slice(start, Math.Min(Options.RangeBytes, destination.Length - start));
                await ReadRangeAsync(file, offset + start, part, token).ConfigureAwait(false);
            }).ConfigureAwait(false);
    }

    /// <summary>Takes a turn, which the result gives back: whoever reads a body by other means takes one too.</summary>
    public async Task<IDisposable> TakeTurnAsync(CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Turn(_turns);
    }

    /// <inheritdoc/>
    public void Dispose() => _turns.Dispose();

    private async Task ReadRangeAsync(IRemoteObject file, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        var done = 0;
        while (done < destination.Length)
        {
            // An attempt that brought enough counts as a success, and the next one begins with all its retries.
            var cut = await Retries.ExecuteAsync(
                async token =>
                {
                    var (read, failure) = await ReadBodyAsync(file, offset + done, destination[done..], token).ConfigureAwait(false);
                    done += read;
                    return read >= LeastProgressBytes ? null : failure;
                },
                cancellationToken).ConfigureAwait(false);
            if (cut is not null)
            {
                throw new RemoteException(
                    RemoteFailure.Network, file.Name, $"{cut.Problem.TrimEnd('.')}, again and again; {done} of the {destination.Length} bytes from {offset} on have come.", cut);
            }
        }
    }

    private static async Task<(int Read, RemoteException? Cut)> ReadBodyAsync(IRemoteObject file, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var body = await file.OpenRangeAsync(offset, destination.Length, cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            var done = 0;
            try
            {
                while (done < destination.Length)
                {
                    var read = await body.ReadAsync(destination[done..], cancellationToken).ConfigureAwait(false);
                    if (read == 0)
                    {
                        return (done, new RemoteException(RemoteFailure.Network, file.Name, $"the connection ends after {done} of {destination.Length} bytes."));
                    }

                    done += read;
                }

                return (done, null);
            }
            catch (RemoteException cut) when (cut.Failure == RemoteFailure.Network)
            {
                return (done, cut);
            }
        }
    }

    private sealed class Turn(SemaphoreSlim turns) : IDisposable
    {
        private SemaphoreSlim? _turns = turns;

        public void Dispose() => Interlocked.Exchange(ref _turns, null)?.Release();
    }
}
