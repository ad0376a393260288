using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class SafetensorsWeightsTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Lazy_NobodyUsesTheWeights_NothingIsRead()
    {
        var sample = new ShardedSample();
        var sources = new ConcurrentBag<ArmedSource>();
        var names = new List<string>();
        var progress = new Arming(sources);
        await foreach (var weight in Iterators.Read("lazy", sample.Files, open: Armed(sample, sources, _ => throw new IOException("read")), progress: progress))
        {
            Assert.True(weight.IsLazy);
            Assert.Equal((DType.F32, new Shape(2, 50), DeviceKind.Meta), (weight.DType, weight.Shape, weight.Tensor.Device.Kind));
            await Assert.ThrowsAsync<IOException>(() => ShardedSample.BytesAsync(weight));
            names.Add(weight.Name);
            weight.Dispose();
        }

        Assert.Equal(sample.InOrder, names);
    }

    [Fact]
    public async Task Lazy_WeightsOfAnEarlierFile_AreReadUntilTheLoopEnds()
    {
        var sample = new ShardedSample();
        var weights = new List<Weight>();
        await foreach (var weight in Iterators.Read("lazy", sample.Files, open: sample.Open()))
        {
            weights.Add(weight);
            if (weights.Count == sample.Tensors.Count)
            {
                foreach (var earlier in weights)
                {
                    await sample.AssertAsync(earlier);
                }
            }
        }

        Assert.Equal(sample.Tensors.Count, weights.Count);
    }

    [Fact]
    public async Task Lazy_Progress_CountsWeightsAndNoBytes()
    {
        var sample = new ShardedSample();
        var progress = new RecordedProgress();
        await foreach (var weight in Iterators.Read("lazy", sample.Files, open: sample.Open(), progress: progress))
        {
            weight.Dispose();
        }

        Assert.Equal(Enumerable.Range(0, 13).Select(i => new LoadProgress(0, 0, i, 12)), progress.Reports);
    }

    [Fact]
    public async Task Eager_TheFirstWeightIsGiven_ItsFileIsReadWholeAndNoOther()
    {
        var sample = new ShardedSample();
        var sources = new ConcurrentBag<ArmedSource>();
        var read = new ConcurrentBag<string>();
        var device = new HostDevice();
        await foreach (var weight in Iterators.Read("eager", sample.Files, new LoadOptions { Device = device }, Armed(sample, sources, read.Add), new Arming(sources)))
        {
            Assert.Equal("layers.2.0.weight", weight.Name);
            Assert.Equal(["model-2-of-3.safetensors"], read.Distinct());
            Assert.Equal(4, device.LiveAllocations);
            weight.Dispose();
            break;
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Prefetch_AWeightOfTheFirstFileIsUsed_TheSecondIsReadMeanwhileAndNotTheThird()
    {
        var sample = new ShardedSample();
        var sources = new ConcurrentBag<ArmedSource>();
        var read = sample.Files.ToDictionary(file => file, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await foreach (var weight in Iterators.Read("prefetch", sample.Files, open: Armed(sample, sources, file => read[file].TrySetResult()), progress: new Arming(sources)))
        {
            Assert.Equal("layers.2.0.weight", weight.Name);
            await read["model-10-of-3.safetensors"].Task.WaitAsync(Hang);
            Assert.False(read["model-11-of-3.safetensors"].Task.IsCompleted);
            weight.Dispose();
            break;
        }
    }

    [Theory]
    [InlineData(6_000)]
    [InlineData(40_000)]
    public async Task Prefetch_FilesLargerAndSmallerThanTheWindow_StayWithinIt(long window)
    {
        var sample = new ShardedSample(files: 6, tensors: 40);
        var device = new LateDevice();
        var load = new LoadOptions { Device = device, StreamWindowBytes = window, StagingBytes = 128 << 10 };
        var count = 0;
        await foreach (var weight in Iterators.Read("prefetch", sample.Files, load, sample.Open()))
        {
            await sample.AssertAsync(weight);
            count++;
        }

        // What waits, and the one that is taken.
        Assert.Equal(240, count);
        Assert.InRange(device.PeakBytes, 400, window + 400);
        Assert.InRange(device.PeakStagingBytes, 1, 128 << 10);
    }

    [Fact]
    public async Task Eager_ANameOfTwoFiles_IsGivenTwice()
    {
        var files = new Dictionary<string, byte[]>
        {
            ["m-2.safetensors"] = Sample.Make(2, ("w", DType.U8, [4])).File,
            ["m-1.safetensors"] = Sample.Make(1, ("w", DType.U8, [4])).File,
        };
        var weights = await Iterators.TakeAsync(Iterators.Read("eager", files.Keys, open: (file, _) => new MemorySource(files[file], file)));
        Assert.Equal(
            [Sample.Of(files["m-1.safetensors"]).Tensors["w"], Sample.Of(files["m-2.safetensors"]).Tensors["w"]],
            weights.Select(weight => weight.Tensor.AsSpan<byte>().ToArray()));
    }

    [Theory]
    [InlineData("eager")]
    [InlineData("prefetch")]
    public async Task Read_ADTypeIsAskedFor_FloatsAreConverted(string kind)
    {
        var file = Sample.Make(3, ("w", DType.F16, [2, 30]), ("i", DType.I32, [5]));
        var load = new LoadOptions { DType = DType.F32 };
        var weights = await Iterators.TakeAsync(Iterators.Read(kind, ["m.safetensors"], load, (name, _) => new MemorySource(file.File, name)));
        var converted = weights.Single(weight => weight.Name == "w").Tensor;
        Assert.Equal((DType.F32, new Shape(2, 30)), (converted.DType, converted.Shape));
        Assert.Equal(
            System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Half>(file.Tensors["w"]).ToArray().Select(value => (float)value), converted.AsSpan<float>().ToArray());
        Assert.Equal(DType.I32, weights.Single(weight => weight.Name == "i").DType);
    }

    private static Func<string, OpenFileLimit, IByteSource> Armed(ShardedSample sample, ConcurrentBag<ArmedSource> sources, Action<string> onRead) =>
        sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: null, _ =>
            {
                onRead(file);
                return Task.CompletedTask;
            });
            sources.Add(source);
            return source;
        });
}
