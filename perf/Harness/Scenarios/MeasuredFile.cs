using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A checkpoint that is open to be measured, and the limits of its files.</summary>
internal sealed class MeasuredFile : IAsyncDisposable
{
    private static readonly CheckpointLoader Loader = new();

    private MeasuredFile(Checkpoint checkpoint, Yardsticks yardsticks) => (Checkpoint, Limits) = (checkpoint, yardsticks);

    public Checkpoint Checkpoint { get; }

    public Yardsticks Limits { get; }

    public IReadOnlyList<string> Paths => [.. Checkpoint.Files.Select(file => file.Path)];

    /// <summary>Opens a checkpoint, brings it into the page cache and finds the fastest plain reads.</summary>
    public static async Task<MeasuredFile> OpenAsync(HarnessOptions options, string path, CancellationToken cancellationToken, Device? device = null)
    {
        options.Log.WriteLine($"looking for the fastest plain reads of {Path.GetFileName(path)}");
        var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken);
        try
        {
            var onto = device ?? HostDevice.Shared;
            WarmFiles.Read(checkpoint.Files.Select(file => file.Path), cancellationToken);
            var lanes = PlanBuffered(checkpoint, new LoadOptions { Device = onto }).Staging.Lanes;
            // A third of what is free: there is room left for what is loaded.
            return new MeasuredFile(
                checkpoint, new Yardsticks([.. checkpoint.Files.Select(file => file.Path)], onto, lanes, HostDevice.Shared.FreeMemory / 3, cancellationToken));
        }
        catch
        {
            await checkpoint.DisposeAsync();
            throw;
        }
    }

    /// <summary>Plans a load of files that are in the page cache: buffered, whatever the options leave open.</summary>
    public LoadPlan Plan(LoadOptions? options = null) => PlanBuffered(Checkpoint, options ?? LoadOptions.Default);

    /// <summary>Plans a load to a dtype, buffered.</summary>
    public LoadPlan PlanTo(DType dtype) => Plan(new LoadOptions { DType = dtype });

    /// <summary>Plans a load with the mode that its options ask for, and makes sure that its files are read so.</summary>
    /// <exception cref="InvalidOperationException">They are not.</exception>
    public LoadPlan PlanAsAsked(LoadOptions options) => PlannedModes.Require(Loader.Plan(Checkpoint, options), options.ReadMode);

    /// <summary>Plans a buffered load of a checkpoint.</summary>
    public static LoadPlan PlanBuffered(Checkpoint checkpoint, LoadOptions options) =>
        PlannedModes.Require(Loader.Plan(checkpoint, options with { ReadMode = ReadMode.Buffered }), ReadMode.Buffered);

    public async ValueTask DisposeAsync()
    {
        Limits.Dispose();
        await Checkpoint.DisposeAsync();
    }
}
