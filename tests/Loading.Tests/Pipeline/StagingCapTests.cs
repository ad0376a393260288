using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What loads really allocate beside their tensors, held against the cap and against what their plans say.</summary>
public sealed class StagingCapTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public void Slots_never_take_more_than_the_cap() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadAsync(new Random(seed), seed).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Fact]
    public async Task What_a_device_decodes_from_is_its_own()
    {
        var sample = Sample.Make(1, ("t", DType.F32, [1000]));
        await using var checkpoint = await sample.OpenAsync();
        // 4000 bytes through slots of 1000 become 2000, and each of two lanes decodes from a slot's bytes on the device.
        const long needed = 2000 + (2 * 1000);
        foreach (var free in new[] { needed - 1, needed })
        {
            var device = new LateDevice { Free = free, SlotBytes = 1000, TakesScratch = true };
            var plan = Plan(device, DType.BF16);
            Assert.Equal((2000L, 2000L), (plan.MemoryNeeds()[0].TensorBytes, plan.MemoryNeeds()[0].StagingBytes));
            if (free == needed)
            {
                (await new CheckpointLoader().LoadAsync(plan).WaitAsync(Hang)).Dispose();
                continue;
            }

            var error = await Assert.ThrowsAsync<DeviceMemoryException>(() => new CheckpointLoader().LoadAsync(plan));
            Assert.Equal((needed, 0L), (error.Requested, device.PeakBytes));
        }

        // Nothing is decoded where nothing changes.
        Assert.Equal(0, Plan(new LateDevice { SlotBytes = 1000, TakesScratch = true }, null).MemoryNeeds()[0].StagingBytes);

        LoadPlan Plan(Device device, DType? dtype) =>
            new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device, DType = dtype, Lanes = 2 });
    }

    [Fact]
    public async Task Parts_inside_blocks_are_decoded_in_memory_that_the_plan_counts()
    {
        var file = new CheckpointFile("b", "b", "test", new MemorySource(new byte[4 * 64 * 18], "b"));
        await using var checkpoint = Checkpoint.OfTensors(file, [new TensorInfo("q", DType.Q4_0, new Shape(4, 2048), file, 0, 4 * 64 * 18)]);
        // Of each row the values 40 to 100, which lie in three blocks of 32.
        foreach (var (device, scratch) in new (Device, long)[] { (new HostDevice(), 3 * 32 * 4), (new LateDevice(), 0), (new DeviceGroup(new LateDevice(), new HostDevice()), 3 * 32 * 4) })
        {
            var plan = LoadPlanner.Plan(
                checkpoint, new LoadOptions { Device = device, DType = DType.F32, Lanes = 1 }, _ => true, _ => new TensorSlice(1, 40, 60));
            Assert.Equal(scratch, plan.ScratchBytes);
        }
    }

    private static async Task LoadAsync(Random random, int seed)
    {
        var sample = random.Next(4) == 0
            ? Sample.Make(seed, ("large", DType.F32, [random.Next(200_000, 900_000)]), ("small", DType.F16, [50]))
            : Sample.MakeRandom(seed, 30_000);
        await using var checkpoint = await sample.OpenAsync();
        var (host, late) = (new HostDevice(), new LateDevice { SlotBytes = 4096 << random.Next(9) });
        Device device = random.Next(3) switch
        {
            0 => host,
            1 => late,
            _ => new DeviceGroup(host, late),
        };
        var options = new LoadOptions
        {
            Device = device,
            Lanes = random.Next(1, 9),
            StagingBytes = random.Next(64 << 10, 3 << 20),
            DType = random.Next(2) == 0 ? null : DType.F32,
            SlabBytes = random.Next(2) * 10_000,
        };
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, options);
        var peak = 0L;
        var onHost = device == late ? 0 : plan.AllocatedBytes;
        using (var model = await loader.LoadAsync(plan, new Watching(() => peak = Math.Max(peak, host.LiveBytes - onHost))))
        {
            sample.AssertLoaded(plan, model);
        }

        Assert.InRange(peak, 0, plan.Staging.Bytes);
        Assert.InRange(late.PeakStagingBytes, 0, plan.Staging.Bytes);
        Assert.InRange(plan.Staging.Bytes, 0, options.StagingBytes);
    }

    private sealed class Watching(Action look) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => look();
    }
}
