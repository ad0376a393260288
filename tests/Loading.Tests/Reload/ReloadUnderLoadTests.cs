using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A live model that is read all the time while it is reloaded again and again.</summary>
public sealed class ReloadUnderLoadTests
{
    private const int Layers = 4;
    private const int Tensors = 2;

    // Large enough for a copy to be met half done by readers that nobody keeps off.
    private const int Bytes = 256 << 10;

    [Fact]
    public async Task Reload_AHundredTimesUnderEightReaders_NobodySeesAMixedLayer()
    {
        const int readers = 8;
        const int reloads = 100;
        await using var odd = await OpenAsync(1);
        await using var even = await OpenAsync(2);
        var device = new HostDevice();
        await using (var hot = await LoadAsync(odd, device))
        {
            using var end = new CancellationTokenSource();
            var expected = Enumerable.Range(0, 2).Select(version => Enumerable.Range(0, Layers * Tensors).Select(tensor => Content(version, tensor)).ToArray()).ToArray();
            var reading = Enumerable.Range(0, readers).Select(reader => Task.Run(() => ReadAsync(new Random(reader)))).ToArray();
            for (var i = 0; i < reloads; i++)
            {
                Assert.True((await hot.ReloadAsync(i % 2 == 0 ? even : odd)).IsWhole);
            }

            await end.CancelAsync();
            var (reads, whole, mixed) = (await Task.WhenAll(reading)).Aggregate((sum, one) => (sum.Reads + one.Reads, sum.Whole + one.Whole, sum.Mixed + one.Mixed));
            Assert.Equal(0, mixed);
            Assert.NotEqual(0, reads);
            Assert.NotEqual(0, whole);
            Assert.Equal(reloads + 1, hot.Version);

            async Task<(int Reads, int Whole, int Mixed)> ReadAsync(Random random)
            {
                var (reads, whole, mixed) = (0, 0, 0);
                while (!end.IsCancellationRequested)
                {
                    try
                    {
                        if (random.Next(8) == 0)
                        {
                            using var lease = await hot.LeaseModelAsync();
                            mixed += Enumerable.Range(0, Layers).All(layer => IsWhole(name => lease[$"layers.{layer}.{name}"], layer, lease.Version)) ? 0 : 1;
                            whole++;
                        }
                        else
                        {
                            var layer = random.Next(Layers);
                            using var lease = await hot.LeaseAsync($"layers.{layer}");
                            mixed += IsWhole(name => lease[name], layer, lease.Version) ? 0 : 1;
                            reads++;
                        }
                    }
                    catch (InvalidOperationException)
                    {
                        // A reader met a layer that is half written, or layers of two versions.
                        mixed++;
                    }

                    await Task.Yield();
                }

                return (reads, whole, mixed);
            }

            bool IsWhole(Func<string, Tensor> tensors, int layer, long version) =>
                Enumerable.Range(0, Tensors).All(i => tensors($"weight{i}").AsReadOnlySpan<byte>().SequenceEqual(expected[version % 2][(layer * Tensors) + i]));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    // Each byte depends on the version, the tensor and the place.
    private static byte[] Content(int version, int tensor)
    {
        var content = new byte[Bytes];
        for (var i = 0; i < content.Length; i++)
        {
            content[i] = (byte)((version % 2 * 128) + (tensor * 7) + (i % 61));
        }

        return content;
    }

    private static async Task<Checkpoint> OpenAsync(int version)
    {
        var file = new SafetensorsBuilder();
        for (var i = 0; i < Layers * Tensors; i++)
        {
            file.Add($"layers.{i / Tensors}.weight{i % Tensors}", "U8", [Bytes], Content(version, i));
        }

        return await Checkpoint.OpenAsync(new MemorySource(file.ToBytes(), $"version {version}"));
    }

    private static async Task<HotModel> LoadAsync(Checkpoint checkpoint, Device device)
    {
        var model = new Module();
        var list = model.Register("layers", new Module());
        for (var i = 0; i < Layers; i++)
        {
            var layer = list.Register($"{i}", new Module());
            for (var j = 0; j < Tensors; j++)
            {
                layer.Register($"weight{j}", new Parameter(DType.U8, new Shape(Bytes)));
            }
        }

        var reloader = ModelReloader.Capture(model, DType.F32);
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } }));
        reloader.Attach();
        // So long that no reload gives in on a machine that is busy with other things.
        return new HotModel(model, reloader, new HotModelOptions { LeaseTimeout = TimeSpan.FromMinutes(1) });
    }
}
