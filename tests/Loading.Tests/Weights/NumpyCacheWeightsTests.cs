using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class NumpyCacheWeightsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(1L << 20)]
    public async Task Read_TheFirstTime_MakesTheCacheAndGivesItInItsOrder(long window)
    {
        var sample = Write();
        var device = new LateDevice();
        var (making, reading) = (new RecordedProgress(), new RecordedProgress());
        var options = new NumpyCacheWeightsOptions { Load = new LoadOptions { Device = device, StreamWindowBytes = window }, MakingProgress = making };
        var names = new List<string>();
        await foreach (var weight in new NumpyCacheWeights(_folder.Path, options).ReadAsync(reading))
        {
            names.Add(weight.Name);
            await sample.AssertAsync(weight);
        }

        Assert.Equal(await ListAsync(), names);
        Assert.Equal(sample.Tensors.Keys.Order(), names.Order());
        Assert.Equal(new LoadProgress(4800, 4800, 12, 12), making.Reports[^1]);
        Assert.Equal((new LoadProgress(0, 4800, 0, 12), new LoadProgress(4800, 4800, 12, 12)), (reading.Reports[0], reading.Reports[^1]));
        Assert.Equal(0, device.LiveAllocations);
        Assert.InRange(device.PeakBytes, 400, Math.Max(window, 400) + 400);
    }

    [Fact]
    public async Task Read_TheSecondTime_UsesWhatIsThere()
    {
        var sample = Write();
        await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync());
        var record = await File.ReadAllTextAsync(_folder["np/ilgpu-loader.json"]);
        var making = new RecordedProgress();
        foreach (var weight in await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path, new NumpyCacheWeightsOptions { MakingProgress = making }).ReadAsync()))
        {
            await sample.AssertAsync(weight);
        }

        Assert.Empty(making.Reports);
        Assert.Equal(record, await File.ReadAllTextAsync(_folder["np/ilgpu-loader.json"]));
    }

    [Fact]
    public async Task Read_ACacheThatVllmMade_ComesInTheOrderOfItsListWithItsValues()
    {
        var sample = Write();
        Directory.CreateDirectory(_folder["np"]);
        var names = sample.Tensors.Keys.OrderDescending(StringComparer.Ordinal).ToArray();
        byte[] other = [.. Enumerable.Range(0, 400).Select(i => (byte)(i * 3))];
        foreach (var name in names)
        {
            await using var writer = await NpyWriter.CreateAsync(_folder[$"np/{name}"], new(name, DType.F32, new Shape(2, 50)));
            await writer.WriteAsync(name, 0, other);
            await writer.CommitAsync();
        }

        await File.WriteAllTextAsync(_folder["np/weight_names.json"], JsonSerializer.Serialize(names));
        File.SetLastWriteTimeUtc(_folder["np/weight_names.json"], DateTime.UtcNow.AddMinutes(1));
        var weights = await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync());
        Assert.Equal(names, weights.Select(weight => weight.Name));
        Assert.All(weights, weight => Assert.Equal(other, weight.Tensor.AsSpan<byte>().ToArray()));
    }

    [Fact]
    public async Task Read_ANameThatIsNoneOfAFile_ComesLast()
    {
        await using (var writer = Formats.Torch.TorchWriter.Create(
            _folder["pytorch_model.bin"], [new("../evil", DType.U8, new Shape(4)), new("a", DType.U8, new Shape(4)), new("b", DType.U8, new Shape(4))]))
        {
            writer.Write("../evil", 0, [1, 2, 3, 4]);
            writer.Write("a", 0, [5, 6, 7, 8]);
            writer.Write("b", 0, [9, 10, 11, 12]);
            await writer.CommitAsync();
        }

        var weights = await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync());
        Assert.Equal(["a", "b", "../evil"], weights.Select(weight => weight.Name));
        Assert.Equal([1, 2, 3, 4], weights[2].Tensor.AsSpan<byte>().ToArray());
        Assert.Equal(["a", "b"], await ListAsync());
    }

    [Fact]
    public async Task Read_SeveralAtTheSameTime_MakeOneCache()
    {
        var sample = Write();
        var all = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () => await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync()))));
        foreach (var weight in all.SelectMany(weights => weights))
        {
            await sample.AssertAsync(weight);
        }

        Assert.Equal(["np"], Directory.GetDirectories(_folder.Path).Select(Path.GetFileName));
    }

    [LinuxFact]
    public async Task Read_LeftEarly_FreesAndClosesEverything()
    {
        Write();
        var device = new HostDevice();
        await foreach (var weight in new NumpyCacheWeights(_folder.Path, new NumpyCacheWeightsOptions { Load = new LoadOptions { Device = device } }).ReadAsync())
        {
            Assert.Equal(12, device.LiveAllocations);
            weight.Dispose();
            break;
        }

        Assert.Equal(0, device.LiveAllocations);
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [Fact]
    public async Task Read_Cancelled_LeavesNoHalfCache()
    {
        Write();
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync(cancellationToken: cancellation.Token)));
        Assert.False(Directory.Exists(_folder["np"]));
    }

    [Fact]
    public async Task Read_AModelOfOtherFiles_GivesItWithoutACache()
    {
        var sample = Sample.Make(1, ("b", DType.U8, [4]), ("a", DType.U8, [8]));
        _folder.Write("model.safetensors", sample.File);
        var weights = await Iterators.TakeAsync(new NumpyCacheWeights(_folder.Path).ReadAsync());
        Assert.Equal(["b", "a"], weights.Select(weight => weight.Name));
        Assert.All(weights, weight => Assert.Equal(sample.Tensors[weight.Name], weight.Tensor.AsSpan<byte>().ToArray()));
        Assert.False(Directory.Exists(_folder["np"]));
    }

    private ShardedSample Write()
    {
        var sample = new ShardedSample(isTorch: true);
        sample.WriteTo(_folder);
        return sample;
    }

    private async Task<string[]> ListAsync() => JsonSerializer.Deserialize<string[]>(await File.ReadAllTextAsync(_folder["np/weight_names.json"]))!;
}
