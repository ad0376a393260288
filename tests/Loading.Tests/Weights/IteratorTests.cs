using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What holds of every iterator over weights.</summary>
public sealed class IteratorTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_AnyFiles_GivesEveryWeightBitForBitAndClosesTheFiles(string kind)
    {
        var sample = Iterators.Sample(kind, files: 5);
        var sources = new ConcurrentBag<RecordingSource>();
        var names = new List<string>();
        await foreach (var weight in Iterators.Read(kind, sample.Files, open: sample.Open((_, inner) => Note(sources, inner))))
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
        }

        Assert.Equal(sample.Tensors.Keys.Order(), names.Order());
        Assert.Equal(5, sources.Count);
        Assert.All(sources, source => Assert.Equal(1, source.Disposals));
    }

    [Theory]
    [InlineData("lazy")]
    [InlineData("eager")]
    [InlineData("prefetch")]
    [InlineData("grouped")]
    [InlineData("grouped by two")]
    public async Task Read_SafetensorsFiles_ComeInNaturalOrder(string kind)
    {
        var sample = new ShardedSample(files: 8);
        var names = new List<string>();
        await foreach (var weight in Iterators.Read(kind, sample.Files, open: sample.Open()))
        {
            names.Add(weight.Name);
            weight.Dispose();
        }

        Assert.Equal(sample.InOrder, names.ToArray());
        Assert.True(names.IndexOf("layers.2.0.weight") < names.IndexOf("layers.10.0.weight"));
    }

    [Theory]
    [MemberData(nameof(Iterators.Loading), MemberType = typeof(Iterators))]
    public async Task Read_ShortReads_GivesTheSame(string kind)
    {
        var sample = Iterators.Sample(kind);
        var count = 0;
        await foreach (var weight in Iterators.Read(kind, sample.Files, open: sample.Open((_, inner) => new ShortReadSource(inner, 7))))
        {
            await sample.AssertAsync(weight);
            count++;
        }

        Assert.Equal(sample.Tensors.Count, count);
    }

    [Theory]
    [MemberData(nameof(Iterators.Loading), MemberType = typeof(Iterators))]
    public async Task Read_OntoADevice_GivesTheSame(string kind)
    {
        var sample = Iterators.Sample(kind);
        var device = new LateDevice { SlotBytes = 64 << 10 };
        var count = 0;
        await foreach (var weight in Iterators.Read(kind, sample.Files, new LoadOptions { Device = device }, sample.Open()))
        {
            Assert.Same(device, weight.Tensor.Device);
            await sample.AssertAsync(weight);
            count++;
        }

        Assert.Equal((sample.Tensors.Count, 0), (count, device.LiveAllocations));
        Assert.Empty(device.Violations);
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_LeftEarly_FreesAllButWhatWasTakenAndClosesTheFiles(string kind)
    {
        var sample = Iterators.Sample(kind);
        for (var taken = 1; taken <= sample.Tensors.Count; taken++)
        {
            var device = new HostDevice();
            var sources = new ConcurrentBag<RecordingSource>();
            var kept = new List<Weight>();
            var weights = Iterators.Read(kind, sample.Files, new LoadOptions { Device = device, StreamWindowBytes = 1000 }, sample.Open((_, inner) => Note(sources, inner)));
            await foreach (var weight in weights)
            {
                kept.Add(weight);
                if (kept.Count == taken)
                {
                    break;
                }
            }

            Assert.All(sources, source => Assert.Equal(1, source.Disposals));
            Assert.Equal(kind == "lazy" ? 0 : taken, device.LiveAllocations);
            foreach (var weight in kept)
            {
                if (kind == "lazy")
                {
                    weight.Dispose();
                }
                else
                {
                    await sample.AssertAsync(weight);
                }
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [LinuxTheory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_FilesOfAFolder_AreOpenInsideTheLoopAlone(string kind)
    {
        using var folder = new TemporaryFolder();
        var sample = Iterators.Sample(kind);
        var files = sample.WriteTo(folder);
        await foreach (var weight in Iterators.Read(kind, files))
        {
            Assert.Equal(files.Order(StringComparer.Ordinal), OpenFiles.Below(folder.Path).Distinct());
            await sample.AssertAsync(weight);
            break;
        }

        Assert.Empty(OpenFiles.Below(folder.Path));
    }

    [Theory]
    [MemberData(nameof(Iterators.Loading), MemberType = typeof(Iterators))]
    public async Task Read_ADiskThatFails_IsToldAndFreesEverything(string kind)
    {
        var sample = Iterators.Sample(kind);
        foreach (var failing in sample.Files)
        {
            var device = new HostDevice();
            var sources = new ConcurrentBag<ArmedSource>();
            var exception = await Assert.ThrowsAsync<IOException>(async () =>
            {
                var open = sample.Open((file, inner) =>
                {
                    var source = new ArmedSource(inner, at: file == failing ? sample.LastOf(file) : long.MaxValue, _ => throw new IOException(ThrowingSource.Message));
                    sources.Add(source);
                    return source;
                });
                await foreach (var weight in Iterators.Read(kind, sample.Files, new LoadOptions { Device = device }, open, new Arming(sources)))
                {
                    await sample.AssertAsync(weight);
                }
            }).WaitAsync(Hang);
            Assert.Contains(ThrowingSource.Message, exception.Message, StringComparison.Ordinal);
            Assert.Contains(failing, exception.Message, StringComparison.Ordinal);
            Assert.Equal((0, sample.Files.Count), (device.LiveAllocations, sources.Count));
            Assert.All(sources, source => Assert.Equal(1, source.Disposals));
        }
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_ABrokenHeaderOfAnyFile_IsToldBeforeTheFirstWeight(string kind)
    {
        var sample = Iterators.Sample(kind);
        foreach (var broken in sample.Files)
        {
            var sources = new ConcurrentBag<SourceDouble>();
            var given = 0;
            await Assert.ThrowsAsync<IOException>(async () =>
            {
                var open = sample.Open((file, inner) =>
                {
                    SourceDouble source = file == broken ? ThrowingSource.AfterReads(inner, 1) : new RecordingSource(inner);
                    sources.Add(source);
                    return source;
                });
                await foreach (var weight in Iterators.Read(kind, sample.Files, open: open))
                {
                    weight.Dispose();
                    given++;
                }
            });
            Assert.Equal(0, given);
            Assert.All(sources, source => Assert.Equal(1, source.Disposals));
        }
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_Cancelled_EndsAndFreesEverything(string kind)
    {
        var sample = Iterators.Sample(kind);
        var device = new HostDevice();
        var sources = new ConcurrentBag<RecordingSource>();
        using var cancellation = new CancellationTokenSource();
        var given = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            var load = new LoadOptions { Device = device, StreamWindowBytes = 1000 };
            var weights = Iterators.Read(kind, sample.Files, load, sample.Open((_, inner) => Note(sources, inner)), cancellationToken: cancellation.Token);
            await foreach (var weight in weights)
            {
                weight.Dispose();
                given++;
                await cancellation.CancelAsync();
            }
        }).WaitAsync(Hang);
        Assert.InRange(given, 1, sample.Tensors.Count - 1);
        Assert.Equal(0, device.LiveAllocations);
        Assert.All(sources, source => Assert.Equal(1, source.Disposals));
    }

    [Theory]
    [MemberData(nameof(Iterators.Loading), MemberType = typeof(Iterators))]
    public async Task Read_AConnectionThatFallsSilent_EndsWhenItIsCancelled(string kind)
    {
        var sample = Iterators.Sample(kind);
        var device = new HostDevice();
        using var cancellation = new CancellationTokenSource();
        var stalled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var sources = new ConcurrentBag<ArmedSource>();
        var open = sample.Open((file, inner) =>
        {
            var source = new ArmedSource(inner, at: sample.LastOf(file), token =>
            {
                stalled.TrySetResult();
                return Task.Delay(Timeout.Infinite, token);
            });
            sources.Add(source);
            return source;
        });
        var reading = Task.Run(async () =>
        {
            await foreach (var weight in Iterators.Read(kind, sample.Files, new LoadOptions { Device = device }, open, new Arming(sources), cancellation.Token))
            {
                weight.Dispose();
            }
        });
        await stalled.Task.WaitAsync(Hang);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(Hang));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Theory]
    [MemberData(nameof(Iterators.Loading), MemberType = typeof(Iterators))]
    public async Task Read_Progress_KnowsTheTotalsFirstAndEndsComplete(string kind)
    {
        var sample = Iterators.Sample(kind);
        var progress = new RecordedProgress();
        var bytes = sample.Tensors.Values.Sum(tensor => tensor.Length);
        await foreach (var weight in Iterators.Read(kind, sample.Files, open: sample.Open(), progress: progress))
        {
            weight.Dispose();
        }

        Assert.Equal(new LoadProgress(0, bytes, 0, sample.Tensors.Count), progress.Reports[0]);
        Assert.Equal(new LoadProgress(bytes, bytes, sample.Tensors.Count, sample.Tensors.Count), progress.Reports[^1]);
        Assert.All(progress.Reports.Zip(progress.Reports.Skip(1)), pair => Assert.True(
            pair.Second.BytesRead >= pair.First.BytesRead && pair.Second.TensorsLoaded >= pair.First.TensorsLoaded && pair.Second != pair.First));
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_NamesThatAreChosen_AreAllThatIsGiven(string kind)
    {
        var sample = Iterators.Sample(kind);
        var load = new LoadOptions { Include = ["*.1.weight", "*.2.weight"], Exclude = ["layers.10.*"] };
        var names = new List<string>();
        await foreach (var weight in Iterators.Read(kind, sample.Files, load, sample.Open()))
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
        }

        Assert.Equal(["layers.11.1.weight", "layers.11.2.weight", "layers.2.1.weight", "layers.2.2.weight"], names.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_FilesOfAnotherFormat_AreRefusedAndClosed(string kind)
    {
        var sample = new ShardedSample(!Iterators.IsTorch(kind));
        var sources = new ConcurrentBag<RecordingSource>();
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => Iterators.TakeAsync(Iterators.Read(kind, sample.Files, open: sample.Open((_, inner) => Note(sources, inner)))));
        Assert.Contains(Iterators.IsTorch(kind) ? "its format is safetensors" : "its format is pytorch", exception.Message, StringComparison.Ordinal);
        Assert.All(sources, source => Assert.Equal(1, source.Disposals));
    }

    [Theory]
    [MemberData(nameof(Iterators.All), MemberType = typeof(Iterators))]
    public async Task Read_WhatGoesByAWholeCheckpoint_IsRefused(string kind)
    {
        var load = new LoadOptions { TensorParallel = new TensorParallel(0, 2) };
        var exception = await Assert.ThrowsAsync<ArgumentException>(() => Iterators.TakeAsync(Iterators.Read(kind, ["a.safetensors"], load)));
        Assert.Contains("TensorParallel", exception.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => Iterators.TakeAsync(Iterators.Read(kind, [])));
        await Assert.ThrowsAsync<ArgumentException>(() => Iterators.TakeAsync(Iterators.Read(kind, ["a.safetensors", ""])));
    }

    private static RecordingSource Note(ConcurrentBag<RecordingSource> sources, IByteSource inner)
    {
        var source = new RecordingSource(inner);
        sources.Add(source);
        return source;
    }
}
