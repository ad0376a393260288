using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class StreamTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public void Every_tensor_comes_once_through_any_window_slots_lanes_and_device()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var sample = Sample.MakeRandom(seed);
            Device device = random.Next(4) == 0
                ? new HostDevice()
                : new LateDevice { SlotBytes = random.Next(16, 3000), Lateness = (Lateness)random.Next(2) };
            var options = new LoadOptions
            {
                Device = device,
                Lanes = random.Next(1, 5),
                // From one that holds nothing to one that holds all.
                StreamWindowBytes = random.Next(4) == 0 ? random.Next(-1, 2) : random.Next(30_000),
                StagingBytes = 64 << 10,
            };
            Assert.Equal(0, StreamAsync(sample, options, seed % 3).WaitAsync(Hang).GetAwaiter().GetResult());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    // Tensors that share every slot, and a window that holds none of them.
    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task Tensors_that_share_a_slot_pass_a_window_smaller_than_both(Lateness lateness)
    {
        var sample = Sample.Make(1, Enumerable.Range(0, 20).Select(i => ($"t{i}", DType.U8, new long[] { 300 })));
        var device = new LateDevice { SlotBytes = 1000, Lateness = lateness };
        for (var lanes = 1; lanes <= 4; lanes++)
        {
            await StreamAsync(sample, new LoadOptions { Device = device, Lanes = lanes, StreamWindowBytes = 100 }, 0).WaitAsync(Hang);
        }
    }

    // One at a time is in the window, and it is complete only once somebody looks at its fence.
    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task A_tensor_in_flight_makes_room_though_nothing_follows_it(Lateness lateness)
    {
        var sample = Sample.Make(1, Enumerable.Range(0, 20).Select(i => ($"t{i}", DType.U8, new long[] { 1000 })));
        var device = new LateDevice { SlotBytes = 1000, Lateness = lateness };
        for (var lanes = 1; lanes <= 4; lanes++)
        {
            await StreamAsync(sample, new LoadOptions { Device = device, Lanes = lanes, StreamWindowBytes = 1000 }, 0).WaitAsync(Hang);
        }

        // What the consumer holds, and one more.
        Assert.InRange(device.PeakBytes, 1000, 2000);
    }

    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task A_tensor_larger_than_the_window_passes(Lateness lateness)
    {
        var sample = Sample.Make(1, ("a", DType.U8, [100]), ("large", DType.F32, [50_000]), ("b", DType.U8, [100]), ("c", DType.F32, [20_000]));
        var device = new LateDevice { SlotBytes = 1000, Lateness = lateness };
        for (var lanes = 1; lanes <= 4; lanes++)
        {
            await StreamAsync(sample, new LoadOptions { Device = device, Lanes = lanes, StreamWindowBytes = 150 }, 0).WaitAsync(Hang);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task The_window_holds(int lanes)
    {
        const int window = 10_000;
        const int largest = 3000;
        var sample = Sample.Make(1, Enumerable.Range(0, 100).Select(i => ($"t{i}", DType.U8, new long[] { largest - (i * 7 % 1000) })));
        foreach (var lateness in Enum.GetValues<Lateness>())
        {
            var device = new LateDevice { SlotBytes = 1000, Lateness = lateness };
            await StreamAsync(sample, new LoadOptions { Device = device, Lanes = lanes, StreamWindowBytes = window }, 20).WaitAsync(Hang);
            // The one that the consumer has taken and not yet disposed comes on top.
            Assert.InRange(device.PeakBytes, largest, window + largest);
        }
    }

    [Fact]
    public async Task Tensors_without_elements_come_too()
    {
        var sample = Sample.Make(1, ("none", DType.F32, [0]), ("wide", DType.F64, [5, 0, 3]), ("one", DType.U8, []));
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            await StreamAsync(sample, new LoadOptions { Device = device, StreamWindowBytes = 0 }, 0).WaitAsync(Hang);
        }

        var onlyEmpty = Sample.Make(1, ("none", DType.F32, [0]));
        await StreamAsync(onlyEmpty, new LoadOptions { Device = new HostDevice() }, 0).WaitAsync(Hang);
    }

    [Fact]
    public async Task Onto_meta_every_tensor_comes_at_once()
    {
        var device = new MetaDevice();
        var sample = Sample.MakeRandom(3);
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, StreamWindowBytes = 1 });
        var names = new List<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            names.Add(name);
            tensor.Dispose();
        }

        Assert.Equal(sample.Tensors.Keys.Order(), names.Order());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task What_was_handed_over_belongs_to_the_consumer_and_leaving_early_frees_the_rest()
    {
        var sample = Sample.Make(1, Enumerable.Range(0, 50).Select(i => ($"t{i}", DType.U8, new long[] { 900 })));
        foreach (var device in new Device[] { new HostDevice(), new LateDevice(), new LateDevice { Lateness = Lateness.WhenWaitedFor } })
        {
            for (var taken = 1; taken <= 4; taken++)
            {
                await using var checkpoint = await sample.OpenAsync();
                var loader = new CheckpointLoader();
                var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 3, StreamWindowBytes = 5000 });
                var kept = new List<LoadedTensor>();
                await foreach (var tensor in loader.StreamAsync(plan))
                {
                    kept.Add(tensor);
                    if (kept.Count == taken)
                    {
                        break;
                    }
                }

                Assert.Equal((taken, taken * 900L), (device.LiveAllocations, device.LiveBytes));
                foreach (var (name, tensor) in kept)
                {
                    sample.AssertLoaded(plan.Tensors.Single(planned => planned.Name == name), tensor);
                    tensor.Dispose();
                }

                Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
            }

            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    [Fact]
    public async Task A_stream_that_nobody_reads_does_nothing()
    {
        var device = new LateDevice();
        await using var checkpoint = await Sample.MakeRandom(9).OpenAsync();
        var loader = new CheckpointLoader();
        var stream = loader.StreamAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
        await using (stream.GetAsyncEnumerator())
        {
            Assert.Equal((0L, 0), (device.PeakBytes, device.Rents));
        }
    }

    [Fact]
    public async Task Cancelling_a_slow_consumer_frees_what_waits_for_it()
    {
        var sample = Sample.Make(1, Enumerable.Range(0, 50).Select(i => ($"t{i}", DType.U8, new long[] { 900 })));
        var device = new LateDevice();
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2, StreamWindowBytes = 2000 });
        using var cancellation = new CancellationTokenSource();
        var streaming = async () =>
        {
            await foreach (var (_, tensor) in loader.StreamAsync(plan, null, cancellation.Token))
            {
                tensor.Dispose();
                await cancellation.CancelAsync();
            }
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => streaming().WaitAsync(Hang));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.Empty(device.Violations);
    }

    // Gives back how many tensors were left out, which is none.
    private static async Task<int> StreamAsync(Sample sample, LoadOptions options, int yields)
    {
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, options);
        var waiting = plan.Tensors.ToDictionary(tensor => tensor.Name);
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                Assert.True(waiting.Remove(name, out var planned), $"{name} came twice.");
                sample.AssertLoaded(planned, tensor);
                for (var i = 0; i < yields; i++)
                {
                    await Task.Yield();
                }
            }
        }

        Assert.Empty(waiting);
        Assert.Equal((0, 0L), (options.Device.LiveAllocations, options.Device.LiveBytes));
        if (options.Device is LateDevice late)
        {
            Assert.Empty(late.Violations);
            Assert.Equal(0, late.Rented);
        }

        return waiting.Count;
    }
}
