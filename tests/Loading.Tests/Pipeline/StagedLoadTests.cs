using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The way through pipe, slots and a device's own stream, on a device that works late.</summary>
public sealed class StagedLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public void Any_checkpoint_arrives_whole_through_one_slot_a_run()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var device = new LateDevice { SlotBytes = random.Next(16, 3000), Lateness = (Lateness)random.Next(2) };
            LoadAsync(Sample.MakeRandom(seed), device, random.Next(1, 5), null).WaitAsync(Hang).GetAwaiter().GetResult();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Theory]
    [InlineData(DType.F64)]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    public async Task Conversions_are_done_on_the_device_slot_by_slot(DType target)
    {
        DType[] types = [DType.F64, DType.F32, DType.F16, DType.BF16, DType.I64, DType.BOOL, DType.C64];
        var sample = Sample.Make(4, types.Select(type => (type.Name, type, new long[] { 3, 501 })));
        foreach (var lateness in Enum.GetValues<Lateness>())
        {
            await LoadAsync(sample, new LateDevice { SlotBytes = 1003, Lateness = lateness }, 2, target).WaitAsync(Hang);
        }
    }

    // Many runs through few slots, on other threads: what comes back too early, or is asked for too early, shows.
    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task Slots_come_back_before_they_are_asked_for_again(Lateness lateness)
    {
        var sample = Sample.Make(6, ("t", DType.U8, [200_000]));
        for (var lanes = 1; lanes <= 4; lanes++)
        {
            // The cap leaves 4 slots of 16,384 bytes in all.
            var device = new LateDevice { SlotBytes = 64, Lateness = lateness };
            await LoadAsync(sample, device, lanes, null).WaitAsync(Hang);
            var tight = new LateDevice { SlotBytes = 16 << 10, Lateness = lateness };
            await LoadAsync(sample, tight, lanes, null).WaitAsync(Hang);
        }
    }

    [Fact]
    public async Task Several_runs_are_in_flight_where_the_device_is_late()
    {
        var sample = Sample.Make(6, ("t", DType.U8, [100_000]));
        var device = new LateDevice { SlotBytes = 1000, Lateness = Lateness.WhenWaitedFor };
        var plan = await LoadAsync(sample, device, 1, null).WaitAsync(Hang);
        Assert.Equal(4, plan.Staging.SlotsPerLane);
        Assert.Equal(100, device.Rents);
        Assert.InRange(device.PeakRented, 2, 4);
    }

    [Fact]
    public async Task Without_conversion_the_host_needs_no_slots_for_large_tensors()
    {
        var sample = Sample.Make(6, ("t", DType.U8, [3 << 20]));
        var host = new HostDevice();
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var seen = 0L;
        var watching = new Watching(() => seen = Math.Max(seen, host.LiveBytes));
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = host }), watching);
        Assert.Equal(3 << 20, seen);
    }

    private static async Task<LoadPlan> LoadAsync(Sample sample, LateDevice device, int lanes, DType? target)
    {
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions
        {
            Device = device,
            Lanes = lanes,
            StagingBytes = 64 << 10,
            DType = target,
            ConvertAllTypes = target is not null,
        });
        await using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            Assert.Equal(plan.DestinationBytes, device.LiveBytes);
        }

        Assert.Empty(device.Violations);
        Assert.Equal((0, 0L, 0), (device.LiveAllocations, device.LiveBytes, device.Rented));
        Assert.Equal(plan.Runs.Length, device.Rents);
        Assert.InRange(device.PeakRented, plan.Runs.IsEmpty ? 0 : 1, Math.Max(1, plan.Staging.SlotsPerLane));
        return plan;
    }

    private sealed class Watching(Action look) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => look();
    }
}
