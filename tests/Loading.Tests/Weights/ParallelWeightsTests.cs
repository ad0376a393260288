using System.Collections.Concurrent;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ParallelWeightsTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData("parallel", 20_000)]
    [InlineData("parallel", 80_000)]
    [InlineData("parallel torch", 20_000)]
    [InlineData("parallel torch", 80_000)]
    public async Task Read_FourWorkers_StayWithinWindowAndStaging(string kind, long window)
    {
        // A file has 16,000 bytes: more than a worker's part of the smaller window, less than of the larger.
        var sample = Iterators.Sample(kind, files: 8, tensors: 40);
        var device = new LateDevice();
        var load = new LoadOptions { Device = device, StreamWindowBytes = window, StagingBytes = 1 << 20 };
        var count = 0;
        await foreach (var weight in Iterators.Read(kind, sample.Files, load, sample.Open()))
        {
            await sample.AssertAsync(weight);
            count++;
        }

        Assert.Equal((320, 0), (count, device.LiveAllocations));
        // What waits, and the one that is taken.
        Assert.InRange(device.PeakBytes, 400, window + 400);
        Assert.InRange(device.PeakStagingBytes, 1, 1 << 20);
    }

    [Theory]
    [InlineData("parallel")]
    [InlineData("parallel torch")]
    public async Task Read_StagingOfOneSlot_IsNotExceeded(string kind)
    {
        var sample = Iterators.Sample(kind, files: 8);
        var device = new LateDevice();
        var load = new LoadOptions { Device = device, StagingBytes = StagingLayout.SmallestSlot };
        await foreach (var weight in Iterators.Read(kind, sample.Files, load, sample.Open()))
        {
            await sample.AssertAsync(weight);
        }

        Assert.InRange(device.PeakStagingBytes, 1, StagingLayout.SmallestSlot);
    }

    [Theory]
    [InlineData("parallel")]
    [InlineData("parallel torch")]
    public async Task Read_EightFiles_FourAreReadAtTheSameTimeAndNoMore(string kind)
    {
        var sample = Iterators.Sample(kind, files: 8);
        var sources = new ConcurrentBag<ArmedSource>();
        var begun = new ConcurrentDictionary<string, bool>();
        var four = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var open = sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: null, async token =>
            {
                begun[file] = true;
                if (begun.Count >= 4)
                {
                    four.TrySetResult();
                }

                // Nobody goes on before four are here.
                await four.Task.WaitAsync(Hang, token);
            });
            sources.Add(source);
            return source;
        });
        await foreach (var weight in Iterators.Read(kind, sample.Files, open: open, progress: new Arming(sources)))
        {
            // Until this file is taken, its worker begins no other.
            Assert.Equal(sample.Files.Take(4).Order(), begun.Keys.Order());
            weight.Dispose();
            break;
        }
    }

    [Theory]
    [InlineData("parallel", 400)]
    [InlineData("parallel", 1L << 20)]
    [InlineData("parallel torch", 400)]
    [InlineData("parallel torch", 1L << 20)]
    public async Task Read_AFileIsLate_TheOthersComeFirstAndEachInOnePiece(string kind, long window)
    {
        var sample = Iterators.Sample(kind);
        var sources = new ConcurrentBag<ArmedSource>();
        var late = sample.Files[0];
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var open = sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: null, token => file == late ? released.Task.WaitAsync(Hang, token) : Task.CompletedTask);
            sources.Add(source);
            return source;
        });
        var names = new List<string>();
        await foreach (var weight in Iterators.Read(kind, sample.Files, new LoadOptions { StreamWindowBytes = window }, open, new Arming(sources)))
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
            if (names.Count == 8)
            {
                released.TrySetResult();
            }
        }

        var files = names.Select(name => name.Split('.')[1]).ToArray();
        Assert.Equal(sample.Tensors.Count, names.Distinct().Count());
        Assert.All(files.Chunk(4), file => Assert.Single(file.Distinct()));
        Assert.Equal("10", files[^1]);
    }

    [Fact]
    public async Task Read_OneWorkerFails_TheOthersEndAndNothingIsLost()
    {
        var sample = new ShardedSample(files: 8);
        var device = new Gpu.HostDevice();
        for (var failing = 0; failing < 8; failing++)
        {
            var sources = new ConcurrentBag<ArmedSource>();
            var bad = sample.Files[failing];
            var open = sample.Open((file, inner) =>
            {
                var source = new ArmedSource(inner, at: null, _ => file == bad ? throw new IOException("the disk of one") : Task.CompletedTask);
                sources.Add(source);
                return source;
            });
            var load = new LoadOptions { Device = device };
            var kept = new List<Weight>();
            var exception = await Assert.ThrowsAsync<IOException>(async () =>
            {
                await foreach (var weight in new ParallelSafetensorsWeights(
                    sample.Files, new ParallelWeightsOptions { Load = load, Open = open, MaximumWorkers = 3 }).ReadAsync(new Arming(sources)))
                {
                    kept.Add(weight);
                }
            }).WaitAsync(Hang);
            Assert.Contains("the disk of one", exception.Message, StringComparison.Ordinal);
            Assert.Equal(kept.Count, device.LiveAllocations);
            kept.ForEach(weight => weight.Dispose());
            Assert.All(sources, source => Assert.Equal(1, source.Disposals));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Constructor_NoWorkers_IsRefused(int workers)
    {
        Assert.Throws<ArgumentException>(() => new ParallelSafetensorsWeights(["a"], new ParallelWeightsOptions { MaximumWorkers = workers }));
        Assert.Throws<ArgumentException>(() => new ParallelTorchWeights(["a"], new TorchWeightsOptions { MaximumWorkers = workers }));
        Assert.Equal(4, ParallelWeightsOptions.Default.MaximumWorkers);
        Assert.Equal(4, TorchWeightsOptions.Default.MaximumWorkers);
    }
}
