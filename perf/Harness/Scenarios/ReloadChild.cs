using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The peak memory of a reload, in this program started anew: the tool has no command for it.</summary>
internal static class ReloadChild
{
    /// <summary>What its command line begins with.</summary>
    public const string Argument = "--child-reload";

    /// <summary>Loads and reloads once in a process of its own.</summary>
    /// <param name="name">The row's name.</param>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="cancellationToken">Ends the process.</param>
    public static async Task<Measurement> MeasureAsync(string name, string folder, CancellationToken cancellationToken)
    {
        var output = await ToolProcess.RunSelfAsync([Argument, folder], cancellationToken);
        long[] numbers = [.. output.Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture))];
        var (peak, live, largest) = (numbers[0], numbers[1], numbers[2]);
        return Measurement.Of(name, MeasuredQuantity.Bytes, [peak - live]) with
        {
            Budget = largest + LoadOptions.DefaultStagingBytes + ToolMemory.Overhead,
            Note = string.Create(CultureInfo.InvariantCulture, $"live {live >> 20} MiB, largest layer {largest >> 20} MiB"),
        };
    }

    /// <summary>The measuring process.</summary>
    public static async Task RunAsync(string folder)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(folder);
        ModelReloader? reloader = null;
        var (module, _) = await LaidOutModel.LoadAsync(
            checkpoint, new TensorParallel(1, 0), made => reloader = ModelReloader.Capture(made, DType.BF16), CancellationToken.None);
        using (module)
        using (reloader)
        {
            var largest = reloader!.Attach().Max(layer => layer.ByteLength);
            var live = HostDevice.Shared.LiveBytes;
            await reloader.ReloadAsync(checkpoint, new ReloadOptions { Load = LaidOutModel.Load });
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{PeakMemory.Read()} {live} {largest}"));
        }
    }
}
