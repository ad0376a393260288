using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A live model on a device whose readers work on after they have ended their leases, behind fences.</summary>
[Trait("Area", "Devices")]
public abstract class HotModelOnDeviceTests(TestDevice kind)
{
    private const string Layer = "layers.1";
    private const int Versions = 2;

    [DeviceTheory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_reload_waits_for_the_fence_of_a_stream_that_reads(int rank)
    {
        using var folder = new TemporaryFolder();
        var device = TestDevices.Get(kind);
        var before = device.LiveAllocations;
        await ReadBehindFencesAsync(folder, device, rank);
        Assert.Equal(before, device.LiveAllocations);
    }

    [DeviceFact]
    public async Task Readers_on_streams_of_their_own_never_see_a_mixed_layer()
    {
        const int readers = 3;
        const int reloads = 12;
        using var folder = new TemporaryFolder();
        var device = TestDevices.Get(kind);
        var before = device.LiveAllocations;
        await SaveAsync(folder);
        await using (var hot = await VersionedState.LiveAsync(folder["1"], 0, device, new HotModelOptions { LeaseTimeout = TimeSpan.FromMinutes(1) }))
        {
            using var end = new CancellationTokenSource();
            var reading = Enumerable.Range(0, readers).Select(_ => Task.Run(ReadAsync)).ToArray();
            for (var i = 0; i < reloads; i++)
            {
                await using var state = await ShardedState.OpenAsync(folder[$"{1 + (i % Versions)}"], 0);
                Assert.True((await hot.ReloadAsync(state)).IsWhole);
            }

            await end.CancelAsync();
            Assert.All(await Task.WhenAll(reading), reads => Assert.NotEqual(0, reads));

            async Task<int> ReadAsync()
            {
                using var stream = device.CreateStream();
                using var reader = new Reader(hot, stream);
                var reads = 0;
                do
                {
                    var fence = await reader.BeginAsync();
                    await fence.WaitAsync();
                    Assert.InRange(reader.Version(0), 1, Versions);
                    reads++;
                }
                while (!end.IsCancellationRequested);
                return reads;
            }
        }

        Assert.Equal(before, device.LiveAllocations);
    }

    /// <summary>Copies a layer on a stream, ends the lease behind it and reloads at once: the copy has the old version, the live model the new one.</summary>
    internal static async Task ReadBehindFencesAsync(TemporaryFolder folder, Device device, int rank)
    {
        await SaveAsync(folder);
        await using var hot = await VersionedState.LiveAsync(folder["1"], rank, device, new HotModelOptions { LeaseTimeout = TimeSpan.FromMinutes(1) });
        using var stream = device.CreateStream();
        using var reader = new Reader(hot, stream);
        for (var version = 1; version < 6; version++)
        {
            _ = await reader.BeginAsync();
            var next = 1 + (version % Versions);
            Assert.True((await hot.ReloadAsync(folder[$"{next}"])).IsWhole);
            Assert.Equal(next, VersionedState.VersionOf(hot, rank));
            stream.Synchronize();
            Assert.Equal(1 + ((version - 1) % Versions), reader.Version(rank));
        }
    }

    private static async Task SaveAsync(TemporaryFolder folder)
    {
        for (var version = 1; version <= Versions; version++)
        {
            await VersionedState.SaveAsync(folder[$"{version}"], version);
        }
    }

    private sealed class Reader(HotModel model, DeviceStream stream) : IDisposable
    {
        private readonly Dictionary<string, Tensor> _copies = model.Layers.Single(layer => layer.Name == Layer).Tensors
            .Where(entry => entry.Value.ElementCount > 0)
            .ToDictionary(entry => entry.Key, entry => Tensor.Empty(entry.Value.DType, entry.Value.Shape, stream.Device));

        /// <summary>Gives the stream the copying of the layer, and ends the lease behind it.</summary>
        public async Task<Fence> BeginAsync()
        {
            var lease = await model.LeaseAsync(Layer);
            foreach (var (name, copy) in _copies)
            {
                stream.Copy(View(lease[name]), View(copy));
            }

            var fence = stream.Record();
            lease.EndBehind(fence);
            return fence;
        }

        public int Version(int rank) => VersionedState.VersionOf(_copies, rank);

        public void Dispose()
        {
            foreach (var copy in _copies.Values)
            {
                copy.Dispose();
            }
        }

        private static StridedView View(Tensor tensor) => new(tensor.Memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset);
    }
}

/// <summary>The same on a device that does nothing before somebody waits for it: a reload that did not wait would be copied to the reader.</summary>
public sealed class LateHotModelTests
{
    [Theory]
    [InlineData(Lateness.WhenWaitedFor)]
    [InlineData(Lateness.Soon)]
    public async Task A_reload_waits_for_the_fence_of_a_stream_that_reads(Lateness lateness)
    {
        using var folder = new TemporaryFolder();
        var device = new LateDevice { Lateness = lateness };
        await HotModelOnDeviceTests.ReadBehindFencesAsync(folder, device, 0);
        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
        Assert.Empty(device.Violations);
    }
}

// One class after the other on a device, whose allocations are counted.
[OnDevice(TestDevice.Host)]
[Collection(nameof(TestDevice.Host))]
public sealed class HostHotModelTests() : HotModelOnDeviceTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorHotModelTests() : HotModelOnDeviceTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLHotModelTests() : HotModelOnDeviceTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaHotModelTests() : HotModelOnDeviceTests(TestDevice.Cuda);
