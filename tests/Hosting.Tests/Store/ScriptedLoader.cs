using System.Collections.Immutable;
using System.Threading.Channels;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Loads when it is told to, and counts what is in memory.</summary>
internal sealed class ScriptedLoader(bool makesAnother = true) : ResidentLoader
{
    public static readonly ImmutableArray<HostedTensor> Planned = [new("a", DType.F32, new Shape(2), 8), new("b", DType.BF16, new Shape(4), 8), new("c", DType.F32, new Shape(1), 4)];

    private readonly Channel<bool> _begun = Channel.CreateUnbounded<bool>();
    private TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Loads { get; private set; }

    public int Reloads { get; private set; }

    public int Live { get; private set; }

    /// <summary>What the next load or reload ends with.</summary>
    public Exception? Failure { get; set; }

    public int OldLayers { get; set; }

    /// <summary>Whether a cancelled load goes on until it is told to end, as one does for the time of a slot.</summary>
    public bool IsSlowToEnd { get; set; }

    /// <summary>Whether loads end without being told to.</summary>
    public bool IsOpen { get; set; } = true;

    public override bool MakesAnother => makesAnother;

    protected override string WeightsPath => "";

    /// <summary>Waits until a load or reload has begun that nobody waited for yet.</summary>
    public async Task BegunAsync() => await _begun.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    public void Go()
    {
        var go = _go;
        _go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        go.SetResult();
    }

    public override async Task<ResidentModel> LoadAsync(LoadRun run, long versionsBefore, CancellationToken cancellationToken)
    {
        Loads++;
        await RunAsync(run, cancellationToken);
        Live++;
        return new Resident(this, versionsBefore + 1) { Tensors = Planned, MemoryBytes = 20, Device = HostDevice.Shared, Format = "scripted" };
    }

    public override async Task<int> ReloadAsync(LoadRun run, ResidentModel model, CancellationToken cancellationToken)
    {
        Reloads++;
        await RunAsync(run, cancellationToken);
        ((Resident)model).Now++;
        return OldLayers;
    }

    private async Task RunAsync(LoadRun run, CancellationToken cancellationToken)
    {
        using (run.Stage(LoadStage.Open))
        {
            run.Planned(Planned, HostDevice.Shared, "scripted", 20);
        }

        run.Report(new LoadProgress(10, 20, 1, 3));
        var go = _go.Task;
        _begun.Writer.TryWrite(true);
        if (!IsOpen)
        {
            await go.WaitAsync(IsSlowToEnd ? CancellationToken.None : cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
        }

        if (Failure is { } failure)
        {
            Failure = null;
            throw failure;
        }

        run.Report(new LoadProgress(20, 20, 3, 3));
        run.Read(20);
    }

    private sealed class Resident(ScriptedLoader loader, long version) : ResidentModel
    {
        private readonly LeaseCount _leases = new();
        public long Now { get; set; } = version;

        public override long Version => Now;

        public override ValueTask<IModelLease?> LeaseAsync(string? layer, CancellationToken cancellationToken) => new(TryLease());

        public override IModelLease? TryLease() => _leases.TryEnter() ? new Lease(this, _leases) : null;

        protected override async Task CloseAndFreeAsync()
        {
            try
            {
                await _leases.CloseAsync();
            }
            finally
            {
                loader.Live--;
            }
        }
    }

    private sealed class Lease(Resident resident, LeaseCount leases) : IModelLease
    {
        public string Model => "scripted";

        public long Version { get; } = resident.Version;

        public IEnumerable<string> Names => [];

        public Tensor this[string name] => throw new NotSupportedException();

        public bool TryGetTensor(string name, out Tensor tensor) => throw new NotSupportedException();

        public void EndBehind(Fence fence) => leases.LeaveBehind(fence);

        public void Dispose() => leases.Leave();
    }
}
