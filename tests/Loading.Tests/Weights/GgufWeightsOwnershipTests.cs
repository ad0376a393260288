using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufWeightsOwnershipTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    // A transform of every kind, parts and blocks that are decoded among them.
    private static readonly GgufNameMap Map = new(
    [
        new("plain", "plain.weight"),
        new("moved", "moved.weight", WeightTransform.Unpermute(2)),
        new("turned", "turned.weight", WeightTransform.Transpose),
        new("turned.raw", "turned.raw.weight", WeightTransform.Transpose),
        new("less", "less.weight", WeightTransform.MinusOne),
        new("rows", new NameMapTarget("first.weight", WeightTransform.Rows(0, 2)), new NameMapTarget("second.bias", WeightTransform.Rows(2, 1))),
        NameMapEntry.SplitExperts("experts", "experts.{expert}.weight", 3),
    ]);

    [Theory]
    [InlineData(null)]
    [InlineData(DType.BF16)]
    public async Task Leaving_early_frees_all_but_what_was_taken(DType? dtype)
    {
        foreach (var device in new Device[] { new HostDevice(), new LateDevice(), new LateDevice { Lateness = Lateness.WhenWaitedFor }, new LateGroup().Device })
        {
            await using var checkpoint = await Sample().OpenAsync();
            var load = new LoadOptions { Device = device, DType = dtype, Lanes = 2, StreamWindowBytes = 3000 };
            var weights = new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = load });
            var all = await GgufWeightsTests.TakeAllAsync(weights);
            Assert.Equal(0, device.LiveAllocations);
            for (var taken = 1; taken <= all.Count; taken++)
            {
                var kept = new List<Weight>();
                await foreach (var weight in weights.ReadAsync())
                {
                    kept.Add(weight);
                    if (kept.Count == taken)
                    {
                        break;
                    }
                }

                Assert.Equal(kept.Where(weight => weight.Tensor.Device == device).Select(weight => weight.Tensor.Memory).Distinct().Count(), device.LiveAllocations);
                foreach (var (name, tensor) in kept)
                {
                    Assert.Equal(all.Single(given => given.Name == name).Bytes, GgufSample.Read(tensor));
                    tensor.Dispose();
                }

                Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
            }

            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(DType.F16)]
    public async Task A_device_gets_what_the_host_gets(DType? dtype)
    {
        var sample = Sample();
        await using var checkpoint = await sample.OpenAsync();
        var load = new LoadOptions { DType = dtype };
        var expected = (await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = load })))
            .ToDictionary(weight => weight.Name);
        foreach (var device in new Device[] { new LateDevice(), new LateDevice { Lateness = Lateness.WhenWaitedFor }, new LateGroup().Device })
        {
            var weights = new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = load with { Device = device } });
            var names = new List<string>();
            await foreach (var (name, tensor) in weights.ReadAsync())
            {
                using (tensor)
                {
                    names.Add(name);
                    // A type is on the host.
                    Assert.Equal(name.EndsWith("_type", StringComparison.Ordinal), tensor.Device != device);
                    Assert.True(tensor.IsContiguous);
                    Assert.Equal((expected[name].DType, expected[name].Shape), (tensor.DType, tensor.Shape));
                    Assert.Equal(expected[name].Bytes, GgufSample.Read(tensor));
                }
            }

            Assert.Equal(expected.Keys.Order(), names.Order());
            // What the host computes comes last.
            Assert.Equal("less.weight", names.Last(name => name is "less.weight" or "plain.weight" or "plain.qweight" or "moved.weight" or "moved.qweight"));
            Assert.Equal(0, device.LiveAllocations);
            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    [Fact]
    public async Task Onto_meta_every_weight_has_its_type_and_shape()
    {
        await using var checkpoint = await Sample().OpenAsync();
        foreach (var dtype in new DType?[] { null, DType.F16 })
        {
            var load = new LoadOptions { DType = dtype };
            var expected = await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = load }));
            var device = new MetaDevice();
            var given = new List<(string, DType, Shape)>();
            await foreach (var (name, tensor) in new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = load with { Device = device } }).ReadAsync())
            {
                given.Add((name, tensor.DType, tensor.Shape));
                tensor.Dispose();
            }

            Assert.Equal(expected.Select(weight => (weight.Name, weight.DType, weight.Shape)).Order(), given.Order());
            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public async Task Each_weight_is_free_to_go_before_the_next_is_taken()
    {
        var sample = new GgufSample();
        for (var i = 0; i < 20; i++)
        {
            sample.Add($"t.{i}", 8, 30, 64);
        }

        var device = new LateDevice();
        var map = new GgufNameMap([new("t.{block}", "m.{block}.weight", WeightTransform.Unpermute(3))]);
        await using var checkpoint = await sample.OpenAsync();
        var bytes = sample.Rows("t.0").Sum(row => row.Length);
        var load = new LoadOptions { Device = device, Lanes = 1, StreamWindowBytes = 2 * bytes };
        await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = load }));
        // Two that wait, the one that is taken, and what is made of it.
        Assert.InRange(device.PeakBytes, bytes, 4 * bytes);
    }

    [Fact]
    public async Task What_a_weight_was_copied_from_is_gone_when_it_is_given()
    {
        var device = new HostDevice();
        await using var checkpoint = await new GgufSample().Add("moved", 8, 4, 32).OpenAsync();
        var taken = 0;
        await foreach (var weight in Weights(checkpoint, device).ReadAsync())
        {
            // Of the first, which is the type, and of the second, the moved rows, nothing is left but what the loop has.
            Assert.Equal(1, device.LiveAllocations);
            weight.Dispose();
            taken++;
        }

        Assert.Equal(2, taken);
    }

    [Fact]
    public async Task Progress_counts_once_over_what_goes_to_the_device_and_what_the_host_computes()
    {
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            await using var checkpoint = await Sample().OpenAsync();
            var progress = new RecordedProgress();
            await GgufWeightsTests.TakeAllAsync(
                new GgufWeights(checkpoint, Map, new GgufWeightsOptions { Load = new LoadOptions { Device = device } }), progress);
            // Everything in the file is read, each tensor once.
            progress.AssertComplete(new CheckpointLoader().Plan(checkpoint));
        }
    }

    [Fact]
    public async Task Cancelling_ends_it_wherever_it_is()
    {
        var bytes = Sample().Builder.ToBytes();
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            await using var whole = await GgufSample.OpenAsync(new MemorySource(bytes));
            var count = (await GgufWeightsTests.TakeAllAsync(Weights(whole, device))).Count;
            for (var at = 0; at < count; at++)
            {
                using var cancellation = new CancellationTokenSource();
                var taken = 0;
                var reading = async () =>
                {
                    if (at == 0)
                    {
                        await cancellation.CancelAsync();
                    }

                    await foreach (var weight in Weights(whole, device).ReadAsync(null, cancellation.Token))
                    {
                        weight.Dispose();
                        if (++taken == at)
                        {
                            await cancellation.CancelAsync();
                        }
                    }
                };
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading().WaitAsync(Hang));
                Assert.Equal((at, 0L), (taken, device.LiveAllocations));
            }
        }
    }

    [Fact]
    public async Task Cancelling_at_a_read_gives_no_further_weight()
    {
        using var cancellation = new CancellationTokenSource();
        var opening = new RecordingSource(new MemorySource(Sample().Builder.ToBytes()));
        await (await GgufSample.OpenAsync(opening)).DisposeAsync();
        var source = new CancellingSource(new MemorySource(Sample().Builder.ToBytes()), cancellation, opening.Reads.Count + 1);
        var device = new HostDevice();
        await using var checkpoint = await GgufSample.OpenAsync(source);
        var given = new List<string>();
        var reading = async () =>
        {
            await foreach (var weight in Weights(checkpoint, device).ReadAsync(null, cancellation.Token))
            {
                given.Add(weight.Name);
                weight.Dispose();
            }
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading().WaitAsync(Hang));
        Assert.All(given, name => Assert.EndsWith(".qweight_type", name, StringComparison.Ordinal));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_failing_source_ends_it_with_the_tensor_and_frees_all()
    {
        var bytes = Sample().Builder.ToBytes();
        var device = new HostDevice();
        await using var checkpoint = await GgufSample.OpenAsync(ThrowingSource.AfterBytes(new MemorySource(bytes), bytes.Length - 100));
        var exception = await Assert.ThrowsAsync<IOException>(() => GgufWeightsTests.TakeAllAsync(Weights(checkpoint, device)));
        Assert.Contains("experts", exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_device_without_room_for_what_is_made_frees_what_was_loaded()
    {
        await using var checkpoint = await Sample().OpenAsync();
        var failures = 0;
        for (var failing = 1; ; failing++)
        {
            var device = new LateDevice { FailingAllocation = failing };
            try
            {
                await GgufWeightsTests.TakeAllAsync(Weights(checkpoint, device));
                break;
            }
            catch (DeviceMemoryException)
            {
                failures++;
                Assert.Equal(0, device.LiveAllocations);
                Assert.Empty(device.Violations);
            }
        }

        // Five tensors, and a copy of the one that is moved and of the two that are turned; the three weights that the host makes
        // of the other two. Experts are views.
        Assert.Equal(5 + 3 + 3, failures);
    }

    [Fact]
    public async Task Reading_again_gives_the_same()
    {
        await using var checkpoint = await GgufSample.OpenAsync(new ShortReadSource(new MemorySource(Sample().Builder.ToBytes()), 7));
        var weights = Weights(checkpoint, new HostDevice());
        var first = await GgufWeightsTests.TakeAllAsync(weights);
        var second = (await GgufWeightsTests.TakeAllAsync(weights)).ToDictionary(weight => weight.Name);
        Assert.Equal(first.Count, second.Count);
        Assert.All(first, weight => Assert.Equal(weight.Bytes, second[weight.Name].Bytes));
    }

    [Fact]
    public void A_weight_disposes_its_tensor()
    {
        var device = new HostDevice();
        var weight = new Weight("a", Tensor.Empty(DType.F32, new Shape(2), device));
        Assert.Equal("a F32 [2] on host", weight.ToString());
        weight.Dispose();
        weight.Dispose();
        Assert.Equal(0, device.LiveAllocations);
    }

    private static GgufWeights Weights(Checkpoint checkpoint, Device device) =>
        new(checkpoint, Map, new GgufWeightsOptions { Load = new LoadOptions { Device = device, Lanes = 1, StreamWindowBytes = 2000 } });

    private static GgufSample Sample() => new GgufSample()
        .Add("plain", 8, 4, 32)
        .Add("moved", 2, 8, 64)
        .Add("turned", 1, 3, 5)
        .Add("turned.raw", 8, 3, 32)
        .Add("less", 0, 70)
        .Add("rows", 8, 3, 64)
        .Add("experts", 8, 3, 2, 32);
}
