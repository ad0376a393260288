using System.Diagnostics;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Tests;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>This assembly as a process of its own, which saves states, or reloads a live model from them again and again, and may kill itself at one moment of that.</summary>
internal static class StateProgram
{
    private const string SaveOnce = "save";
    private const string SaveOnAndOn = "saves";
    private const string ReloadOnAndOn = "reloads";

    /// <summary>Saves all ranks of a version, once.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="version">The version.</param>
    /// <param name="moment">The moment of <see cref="KillingCalls"/>; negative for none: then their number is printed.</param>
    public static Process StartSave(string target, int version, int moment = -1) => OwnProgram.Start(typeof(StateProgram).Assembly, SaveOnce, target, version, moment);

    /// <summary>Saves one version after the other until it is killed.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="versions">How many there are.</param>
    public static Process StartSaves(string target, int versions) => OwnProgram.Start(typeof(StateProgram).Assembly, SaveOnAndOn, target, versions);

    /// <summary>Reloads a live model from a folder until it kills itself.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="rank">The model's rank.</param>
    /// <param name="moment">The report of progress at which it kills itself, counted over all reloads.</param>
    public static Process StartReloads(string target, int rank, int moment) => OwnProgram.Start(typeof(StateProgram).Assembly, ReloadOnAndOn, target, rank, moment);

    public static async Task<int> Main(string[] args)
    {
        if (args[0] == DownloadProgram.Verb)
        {
            return await DownloadProgram.RunAsync(args);
        }

        var (target, numbers) = (args[1], args.Skip(2).Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray());
        switch (args[0])
        {
            case SaveOnce:
                var calls = new KillingCalls(numbers[1]);
                await VersionedState.SaveAsync(target, numbers[0], calls);
                Console.WriteLine(calls.Moments.ToString(CultureInfo.InvariantCulture));
                return 0;
            case SaveOnAndOn:
                for (var i = 0; ; i++)
                {
                    await VersionedState.SaveAsync(target, 1 + (i % numbers[0]));
                }

            default:
                await ReloadAsync(target, numbers[0], new KillingProgress(numbers[1]));
                return 1;
        }
    }

    private static async Task ReloadAsync(string target, int rank, KillingProgress progress)
    {
        HotModel? live = null;
        while (live is null)
        {
            try
            {
                live = await VersionedState.LiveAsync(target, rank, HostDevice.Shared);
            }
            catch (Exception exception) when (IsOfAnExchange(exception))
            {
            }
        }

        await using var hot = live;
        while (true)
        {
            try
            {
                var report = await hot.ReloadAsync(target, null, progress);
                if (!report.IsWhole)
                {
                    throw new InvalidDataException(string.Join("; ", report.Layers.Select(layer => $"{layer.Layer.Name}: {layer.Outcome} {layer.Reason}")));
                }

                using var lease = await hot.LeaseModelAsync();
                _ = VersionedState.VersionOf(hot, rank);
            }
            catch (Exception exception) when (IsOfAnExchange(exception))
            {
                // Each layer is of one version all the same.
                foreach (var layer in hot.Layers)
                {
                    _ = VersionedState.VersionOf(layer.Tensors, rank);
                }
            }
        }
    }

    // Another process has put another state in the folder's place between two of its files.
    private static bool IsOfAnExchange(Exception exception) =>
        exception is CheckpointException or IOException or ReloadFailedException { InnerException: CheckpointException or IOException };

    // In the thread that reports: the next step is not taken.
    private sealed class KillingProgress(int moment) : IProgress<LoadProgress>
    {
        private int _reports;

        public void Report(LoadProgress value)
        {
            if (Interlocked.Increment(ref _reports) > moment)
            {
                OwnProgram.Kill();
            }
        }
    }
}
