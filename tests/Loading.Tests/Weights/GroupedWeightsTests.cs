using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Tests;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GroupedWeightsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RecordedWarnings _warnings = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 3)]
    [InlineData(4, 2)]
    [InlineData(8, 1)]
    public void Groups_AnyWorld_HaveAsManyFilesInNaturalOrder(int world, int groups)
    {
        var sample = new ShardedSample(files: 5);
        var weights = new GroupedWeights(sample.Files, new GroupedWeightsOptions { WorldSize = world });
        Assert.Equal(groups, weights.Groups.Length);
        Assert.All(weights.Groups.SkipLast(1), group => Assert.Equal(world, group.Length));
        Assert.Equal(WeightFiles.InOrder(sample.Files), weights.Groups.SelectMany(group => group));
        Assert.Throws<ArgumentException>(() => new GroupedWeights(sample.Files, new GroupedWeightsOptions { WorldSize = 0 }));
    }

    [Fact]
    public async Task Read_AGroup_IsOnTheDeviceTogetherAndTheNextIsNotReadBefore()
    {
        var sample = new ShardedSample(files: 4);
        var device = new HostDevice();
        var sources = new ConcurrentBag<ArmedSource>();
        var read = new ConcurrentDictionary<string, bool>();
        var open = sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: null, _ =>
            {
                read[file] = true;
                return Task.CompletedTask;
            });
            sources.Add(source);
            return source;
        });
        var options = new GroupedWeightsOptions { WorldSize = 2, Load = new LoadOptions { Device = device }, Open = open };
        var taken = 0;
        await foreach (var weight in new GroupedWeights(sample.Files, options).ReadAsync(new Arming(sources)))
        {
            Assert.Equal(8 - (taken % 8), device.LiveAllocations);
            Assert.Equal(taken < 8 ? 2 : 4, read.Count);
            weight.Dispose();
            taken++;
        }

        Assert.Equal((16, 0), (taken, device.LiveAllocations));
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_DirectReadsAreRefused_IsRememberedForAllGroupsAndWarnedOfOnce(bool atOpening)
    {
        var sample = new ShardedSample(files: 4, bytes: 40_000);
        var calls = new List<RefusingCalls>();
        var names = new List<string>();
        await foreach (var weight in new GroupedWeights(sample.WriteTo(_folder), Options(calls, 1, _ => new RefusingCalls { RefusesOpening = atOpening, RefusesRead = 1 })).ReadAsync())
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
        }

        Assert.Equal(sample.InOrder, names);
        var warning = Assert.Single(_warnings.Texts);
        Assert.StartsWith(_folder["model-1-of-4.safetensors"] + ": the file system refuses direct reads", warning, StringComparison.Ordinal);
        // Nobody asked the files behind it to be read so, though any of them could be.
        Assert.InRange(calls.Sum(call => call.Reads), 0, 1);
    }

    [LinuxFact]
    public async Task Read_DirectReadsWork_NothingIsSaid()
    {
        var sample = new ShardedSample(files: 2, bytes: 40_000);
        var calls = new List<RefusingCalls>();
        var files = sample.WriteTo(_folder);
        var weights = await Iterators.TakeAsync(new GroupedWeights(files, Options(calls, 1, _ => new RefusingCalls())).ReadAsync());
        foreach (var weight in weights)
        {
            await sample.AssertAsync(weight);
        }

        Assert.Equal(CanReadDirectly(files[0]), calls.TrueForAll(call => call.Reads > 0) && _warnings.Texts.Count == 0);
    }

    [LinuxFact]
    public async Task Read_AnotherErrorOfADirectRead_EndsTheReading()
    {
        var sample = new ShardedSample(files: 3, bytes: 40_000);
        var calls = new List<RefusingCalls>();
        var files = sample.WriteTo(_folder);
        var options = Options(calls, 1, file => new RefusingCalls { OnRead = file.Contains("-2-", StringComparison.Ordinal) ? _ => throw new IOException("the disk is gone") : null });
        var given = 0;
        var reading = async () =>
        {
            await foreach (var weight in new GroupedWeights(files, options).ReadAsync())
            {
                weight.Dispose();
                given++;
            }
        };
        if (CanReadDirectly(files[0]))
        {
            Assert.Contains("the disk is gone", (await Assert.ThrowsAsync<IOException>(reading)).Message, StringComparison.Ordinal);
            Assert.Equal(0, given);
            Assert.Empty(_warnings.Texts);
        }
        else
        {
            await reading();
            Assert.Single(_warnings.Texts);
        }

        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [LinuxTheory]
    [InlineData(ReadMode.Direct)]
    [InlineData(ReadMode.Auto)]
    public async Task Read_AWorldOfTwo_ReadsNothingDirectly(ReadMode mode)
    {
        var sample = new ShardedSample(files: 4, bytes: 40_000);
        var calls = new List<RefusingCalls>();
        var options = Options(calls, 2, _ => new RefusingCalls());
        options = options with { Load = options.Load with { ReadMode = mode } };
        foreach (var weight in await Iterators.TakeAsync(new GroupedWeights(sample.WriteTo(_folder), options).ReadAsync()))
        {
            await sample.AssertAsync(weight);
        }

        Assert.Equal(4, calls.Count);
        Assert.All(calls, call => Assert.Equal((0, 0), (call.Opened, call.Reads)));
        Assert.Empty(_warnings.Texts);
    }

    [LinuxFact]
    public async Task Read_LeftEarlyWhileReadingDirectly_ClosesEverything()
    {
        var sample = new ShardedSample(files: 4, bytes: 40_000);
        var device = new HostDevice();
        var options = Options([], 1, _ => new RefusingCalls());
        options = options with { Load = options.Load with { Device = device } };
        await foreach (var weight in new GroupedWeights(sample.WriteTo(_folder), options).ReadAsync())
        {
            weight.Dispose();
            break;
        }

        Assert.Empty(OpenFiles.Below(_folder.Path));
        Assert.Equal(0, device.LiveAllocations);
    }

    private static bool CanReadDirectly(string file)
    {
        var source = new LocalFileSource(file);
        try
        {
            return source.FindDirectAlignment() is not null;
        }
        finally
        {
            source.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private GroupedWeightsOptions Options(List<RefusingCalls> calls, int world, Func<string, RefusingCalls> make) => new()
    {
        WorldSize = world,
        Load = new LoadOptions { ReadMode = ReadMode.Direct },
        Warnings = _warnings.ToLog(),
        Open = (file, limit) =>
        {
            var call = make(file);
            lock (calls)
            {
                calls.Add(call);
            }

            return new LocalFileSource(file, limit, call);
        },
    };
}
