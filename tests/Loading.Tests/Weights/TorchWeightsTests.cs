using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Loading.Tests;

public sealed class TorchWeightsTests
{
    private static readonly byte[] First = [.. Enumerable.Range(0, 16).Select(i => (byte)i)];
    private static readonly byte[] Second = [.. Enumerable.Range(100, 16).Select(i => (byte)i)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_AMapOfLocations_BringsEachTensorToItsDevice(bool isParallel)
    {
        var host = new HostDevice();
        var device = new LateDevice();
        var weights = await Iterators.TakeAsync(Read(isParallel, new Dictionary<string, Device> { ["cpu"] = host, ["cuda:0"] = device, ["cuda:1"] = new LateDevice() }));
        Assert.Equal(
            [("on.cpu", host, First), ("on.cuda", device, Second), ("tied.cuda", device, Second)],
            weights.OrderBy(weight => weight.Name).Select(weight => (weight.Name, weight.Tensor.Device, Bytes(weight.Tensor))));
        foreach (var weight in weights)
        {
            weight.Dispose();
        }

        Assert.Equal((0, 0), (host.LiveAllocations, device.LiveAllocations));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_ALocationThatTheMapLacks_IsAnErrorWithBoth(bool isParallel)
    {
        var device = new LateDevice();
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => Iterators.TakeAsync(Read(isParallel, new Dictionary<string, Device> { ["cuda:1"] = device, ["cuda"] = device })));
        Assert.Contains("m.bin: tensor 'on.cuda': it was saved from 'cuda:0', and the map has 'cuda:1', 'cuda'", exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
        exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => Iterators.TakeAsync(Read(isParallel, new Dictionary<string, Device>())));
        Assert.Contains("the map has no location", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_TheHostIsNotInTheMap_StaysTheHost()
    {
        var device = new LateDevice();
        var weights = await Iterators.TakeAsync(Read(false, new Dictionary<string, Device> { ["cuda:0"] = device }));
        Assert.Equal(DeviceKind.Host, weights.Single(weight => weight.Name == "on.cpu").Tensor.Device.Kind);
        Assert.Same(device, weights.Single(weight => weight.Name == "on.cuda").Tensor.Device);
    }

    [Fact]
    public async Task Read_AnUnknownLocationOfAWeightThatIsLeftOut_DoesNotCount()
    {
        var options = new TorchWeightsOptions { MapLocation = new Dictionary<string, Device>(), Load = new LoadOptions { Exclude = ["*cuda"] }, Open = Open };
        var weight = Assert.Single(await Iterators.TakeAsync(new TorchWeights(["m.bin"], options).ReadAsync()));
        Assert.Equal("on.cpu", weight.Name);
    }

    [Fact]
    public async Task Read_OneDevice_BringsAllThere()
    {
        var device = new LateDevice();
        var options = new TorchWeightsOptions { Load = new LoadOptions { Device = device }, Open = Open };
        var weights = await Iterators.TakeAsync(new TorchWeights(["m.bin"], options).ReadAsync());
        Assert.Equal(3, weights.Count);
        Assert.All(weights, weight => Assert.Same(device, weight.Tensor.Device));
    }

    [Fact]
    public async Task Read_SeveralFiles_KeepTheGivenOrder()
    {
        var sample = new ShardedSample(isTorch: true);
        var weights = await Iterators.TakeAsync(Iterators.Read("torch", sample.Files, open: sample.Open()));
        Assert.Equal(["10", "2", "11"], weights.Select(weight => weight.Name.Split('.')[1]).Distinct());
    }

    [Fact]
    public async Task Read_APickleThatCallsSomething_IsRefusedBeforeAnything()
    {
        var file = new TorchBuilder().ToArchive(Dictionary(("w", Call("os", "system", Text("true")))));
        await Assert.ThrowsAsync<UnsafePickleException>(
            () => Iterators.TakeAsync(new TorchWeights(["m.bin"], new TorchWeightsOptions { Open = (name, _) => new MemorySource(file, name) }).ReadAsync()));
    }

    private static IAsyncEnumerable<Weight> Read(bool isParallel, IReadOnlyDictionary<string, Device> map)
    {
        var options = new TorchWeightsOptions { MapLocation = map, Open = Open };
        return isParallel ? new ParallelTorchWeights(["m.bin"], options).ReadAsync() : new TorchWeights(["m.bin"], options).ReadAsync();
    }

    private static MemorySource Open(string file, OpenFileLimit limit)
    {
        static byte[] At(string key, string location) => Tensor(
            Reference(Text("storage"), Global("torch", "FloatStorage"), Text(key), Text(location), Whole(4)), 0, [2, 2], [2, 1]);
        return new MemorySource(
            new TorchBuilder().AddStorage("0", First).AddStorage("1", Second).ToArchive(
                Dictionary(("on.cpu", At("0", "cpu")), ("on.cuda", At("1", "cuda:0")), ("tied.cuda", At("1", "cuda:0")))),
            file);
    }

    private static byte[] Bytes(Tensor tensor) => tensor.Device.IsHost ? tensor.AsSpan<byte>().ToArray() : LateDevice.Read(tensor);
}
