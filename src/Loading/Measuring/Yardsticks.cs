using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The limits of one checkpoint's files, this machine's memory and a device: what loads are held against, measured without the loader.</summary>
internal sealed class Yardsticks : IDisposable
{
    // A fill and a copy are measured on so much, and scaled: a second block of the output's size may not fit.
    private const long MostMemory = 256L << 20;
    private const long LeastMemory = 16L << 20;

    /// <summary>The memory that they take however little there is: to read into, to fill, and to copy to.</summary>
    public const long LeastBytes = 3 * LeastMemory;

    // As much as the loader wants of files that do not fit beside the tensors: of these a few pages may be gone.
    private const double MostlyResident = 0.9;

    private const int SearchRounds = 3;

    private readonly YardstickMemory _memory;
    private readonly UploadYardstick? _upload;
    private readonly long _most;

    /// <summary>Takes memory and finds the fastest reads, which leaves the files in the page cache.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="device">Where loads go.</param>
    /// <param name="lanes">How many threads touch, fill and copy.</param>
    /// <param name="most">The most memory to read into; 16 MiB are taken even of less, or of nothing.</param>
    /// <param name="cancellationToken">Asked for every block.</param>
    /// <param name="residentFraction">What of the files is in the page cache; null for what the system says.</param>
    public Yardsticks(
        IReadOnlyList<string> paths,
        Device device,
        int lanes,
        long most,
        CancellationToken cancellationToken,
        Func<IReadOnlyList<string>, double?>? residentFraction = null)
    {
        Lanes = lanes;
        _most = Math.Max(most, LeastMemory);
        Reads = new ReadYardstick(paths, _most);
        try
        {
            _memory = new YardstickMemory(Math.Clamp(_most / 4, LeastMemory, MostMemory));
            _upload = device.IsHost || device.Kind is DeviceKind.Meta or DeviceKind.Group ? null : new UploadYardstick(device);
            _memory.Touch(lanes, cancellationToken);
            // The first read brings the files into the cache, and is not counted.
            Reads.Measure(new ReadSetting(1, 4 << 20), cancellationToken);
            AreFilesCached = (residentFraction ?? FileResidency.ResidentFraction)(paths) is not < MostlyResident;
            Tried = AreFilesCached || !Reads.HasDirect ? [.. ReadSetting.Buffered] : [.. ReadSetting.Buffered, .. ReadSetting.Direct];
            Best = Reads.FindBest(Tried, SearchRounds, cancellationToken);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Plain reads of the files.</summary>
    public ReadYardstick Reads { get; }

    /// <summary>
    /// Whether the files stayed in the page cache when they were read; true where nobody says. Files that are larger than it do not: reads of
    /// them come from the disk again and again, and those past the cache are tried too.
    /// </summary>
    public bool AreFilesCached { get; }

    /// <summary>The settings that were tried.</summary>
    public IReadOnlyList<ReadSetting> Tried { get; }

    /// <summary>The setting of those that reads fastest.</summary>
    public ReadSetting Best { get; }

    /// <summary>How many threads touch, fill and copy.</summary>
    public int Lanes { get; }

    /// <summary>Plain reads of as many bytes as a plan reads.</summary>
    public Contestant Read(LoadPlan plan, double? target = null) =>
        Contestant.Limit(Best.ToString(), token => Reads.Measure(Best, token, plan.BytesToRead)) with { Target = target };

    /// <summary>What a load into fresh memory cannot do without: the first touch of it, and the reads.</summary>
    public Contestant FirstTouchAndRead(LoadPlan plan, double? target = null) => Contestant.Limit(
        $"first touch + {Best}",
        token => MemoryYardsticks.FirstTouch(plan.DestinationBytes, Lanes, _most, token) + Reads.Measure(Best, token, plan.BytesToRead)) with
    { Target = target };

    /// <summary>What a load that converts does at least: the reads, and a fill of what comes out.</summary>
    public Contestant ReadAndFill(LoadPlan plan, double? target = null) => Contestant.Limit(
        $"{Best} + streaming fill",
        token => Reads.Measure(Best, token, plan.BytesToRead)
            + (MemoryYardsticks.StreamingFill(_memory, Lanes, token) * plan.DestinationBytes / _memory.Length)) with
    { Target = target };

    /// <summary>The upload of as many bytes as a plan reads; null where loads stay on the host.</summary>
    public Contestant? Upload(LoadPlan plan, double? target = null) => _upload is { } upload
        ? Contestant.Limit("page-locked upload", token => upload.Measure(plan.BytesToRead, token)) with { Target = target }
        : null;

    /// <summary>The limits by themselves.</summary>
    public async Task<IReadOnlyList<Measurement>> MeasureAsync(int rounds, CancellationToken cancellationToken)
    {
        using var other = new YardstickMemory(_memory.Length);
        other.Touch(Lanes, cancellationToken);
        var rows = new List<Measurement>
        {
            await AloneAsync(Best.ToString(), Reads.TotalBytes, token => Reads.Measure(Best, token)).ConfigureAwait(false),
            await AloneAsync("first touch", _memory.Length, token => MemoryYardsticks.FirstTouch(_memory.Length, Lanes, _most, token), warmUp: true).ConfigureAwait(false),
            await AloneAsync("memcpy", _memory.Length, token => MemoryYardsticks.Copy(_memory, other, Lanes, token)).ConfigureAwait(false),
            await AloneAsync("streaming fill", _memory.Length, token => MemoryYardsticks.StreamingFill(_memory, Lanes, token)).ConfigureAwait(false),
        };
        if (_upload is { } upload)
        {
            rows.Add(await AloneAsync("page-locked upload", _memory.Length, token => upload.Measure(_memory.Length, token)).ConfigureAwait(false));
        }

        return rows;

        async Task<Measurement> AloneAsync(string name, long bytes, Func<CancellationToken, double> measure, bool warmUp = false)
        {
            var row = await InterleavedRounds
                .MeasureAsync(name, rounds, token => Task.FromResult(measure(token)), [], cancellationToken, warmUp: warmUp).ConfigureAwait(false);
            return row with { Bytes = bytes };
        }
    }

    /// <summary>Frees the memory and closes the files.</summary>
    public void Dispose()
    {
        _upload?.Dispose();
        _memory?.Dispose();
        Reads.Dispose();
    }
}
