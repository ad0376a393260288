using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Models that are loaded one after the other on a host that keeps the memory of the last.</summary>
public sealed class KeptMemoryLoadTests
{
    private static readonly Sample First = Sample.Make(1, ("large", DType.F32, [700_000]), ("middle", DType.F16, [600_001]), ("small", DType.U8, [500]));
    private static readonly Sample Second = Sample.Make(2, ("large", DType.F32, [690_000]), ("middle", DType.F16, [600_000]), ("small", DType.U8, [77]));

    [LinuxTheory]
    [InlineData(0)]
    [InlineData(64 << 20)]
    public async Task The_next_model_takes_the_memory_of_the_last_and_has_its_own_values(long slabBytes)
    {
        var device = new HostDevice { MaximumKeptBytes = 64 << 20 };
        var addresses = new List<nint>();
        foreach (var sample in new[] { First, Second, First })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(sample.File));
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = slabBytes });
            await using var model = await loader.LoadAsync(plan);
            sample.AssertLoaded(plan, model);
            addresses.Add(((HostMemory)model["large"].Memory).Address);
            Assert.Equal(plan.AllocatedBytes, device.LiveBytes);
        }

        // Whatever was there before is overwritten; what is kept is in nobody's hands.
        Assert.Single(addresses.Distinct());
        Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.InRange(device.KeptBytes, 1, device.MaximumKeptBytes);
        Assert.True(device.TrimKept() > 0);
        Assert.Equal(0, device.KeptBytes);
    }
}
