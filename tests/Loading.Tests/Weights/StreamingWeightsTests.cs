using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class StreamingWeightsTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Open_AllFiles_TotalsAreKnownBeforeTheFirstTensor()
    {
        var sample = new ShardedSample();
        var sources = new ConcurrentBag<ArmedSource>();
        var reads = 0;
        var open = sample.Open((_, inner) =>
        {
            var source = new ArmedSource(inner, at: null, _ =>
            {
                Interlocked.Increment(ref reads);
                return Task.CompletedTask;
            });
            sources.Add(source);
            return source;
        });
        await using var weights = await StreamingWeights.OpenAsync(sample.Files, new WeightsOptions { Open = open });
        foreach (var source in sources)
        {
            source.Arm();
        }

        Assert.Equal((12, 4800, 0), (weights.TensorCount, weights.BytesToRead, reads));
        for (var time = 0; time < 2; time++)
        {
            var progress = new RecordedProgress();
            var given = await Iterators.TakeAsync(weights.ReadAsync(progress));
            Assert.Equal(new LoadProgress(0, 4800, 0, 12), progress.Reports[0]);
            Assert.Equal(12, given.Count);
            Assert.All(given, weight => weight.Dispose());
        }
    }

    [Fact]
    public async Task Read_TheFirstTensorOfAFileIsLate_TheOthersComeFirst()
    {
        var sample = new ShardedSample();
        var sources = new ConcurrentBag<ArmedSource>();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var open = sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: null, token => file == sample.Files[0] ? released.Task.WaitAsync(Hang, token) : Task.CompletedTask);
            sources.Add(source);
            return source;
        });
        var names = new List<string>();
        await using var weights = await StreamingWeights.OpenAsync(sample.Files, new WeightsOptions { Open = open, Load = new LoadOptions { Lanes = 2 } });
        await foreach (var weight in weights.ReadAsync(new Arming(sources)))
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
            if (names.Count == 8)
            {
                released.TrySetResult();
            }
        }

        Assert.Equal(12, names.Count);
        Assert.All(names.Take(8), name => Assert.DoesNotContain(".10.", name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_ANameOfTwoFiles_IsRefusedWithBoth()
    {
        var file = Sample.Make(1, ("w", DType.U8, [4])).File;
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => StreamingWeights.OpenAsync(["a.safetensors", "b.safetensors"], new WeightsOptions { Open = (name, _) => new MemorySource(file, name) }));
        Assert.Equal((CheckpointErrorCode.DuplicateTensor, "w"), (exception.Code, exception.Tensor));
        Assert.Contains("'a.safetensors' and in 'b.safetensors'", exception.Message, StringComparison.Ordinal);
    }
}
