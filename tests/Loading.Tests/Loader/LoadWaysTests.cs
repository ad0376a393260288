using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Whatever options are combined, the values are those of the file, and the staging memory stays below its cap.</summary>
public sealed class LoadWaysTests : IDisposable
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_modes_slabs_kept_memory_caps_and_lanes_in_any_combination_give_the_same_values()
    {
        var index = 0;
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var sample = Sample.MakeRandom(seed, longest: random.Next(2) == 0 ? 600 : 60_000);
            var path = _folder.Write($"{index++}.safetensors", sample.File);
            Device device = random.Next(3) == 0
                ? new LateDevice { SlotBytes = random.Next(16, 3000), Lateness = (Lateness)random.Next(2) }
                : new HostDevice { MaximumKeptBytes = random.Next(2) << 22 };
            var options = new LoadOptions
            {
                Device = device,
                Lanes = random.Next(3) == 0 ? null : random.Next(1, 5),
                StagingBytes = random.Next(64 << 10, 1 << 20),
                DType = random.Next(2) == 0 ? null : DType.F32,
                ConvertAllTypes = random.Next(2) == 0,
                ExactSlices = random.Next(2) == 0,
            };
            LoadAsync(path, sample, options, random).WaitAsync(Hang).GetAwaiter().GetResult();
            File.Delete(path);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(80));
    }

    // One checkpoint, four ways, one after the other on the same device.
    private static async Task LoadAsync(string path, Sample sample, LoadOptions options, Random random)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var loader = new CheckpointLoader();
        foreach (var mode in random.GetItems(Enum.GetValues<ReadMode>(), 4))
        {
            var way = options with { ReadMode = mode, SlabBytes = random.GetItems([0L, 1000, 1 << 20, 64 << 20], 1)[0] };
            var plan = loader.Plan(checkpoint, way);
            Assert.InRange(plan.Staging.Bytes, 0, way.StagingBytes);
            await using var model = await loader.LoadAsync(plan);
            sample.AssertLoaded(plan, model);
            if (plan.MappedCount == 0)
            {
                await loader.LoadIntoAsync(plan, model);
                sample.AssertLoaded(plan, model);
            }
        }

        Assert.Equal((0L, 0L), (options.Device.LiveAllocations, options.Device.LiveBytes));
        Assert.Empty((options.Device as LateDevice)?.Violations ?? []);
        Assert.Equal(0, ((LocalFileSource)checkpoint.Files[0].Source).LiveMappings);
    }
}
