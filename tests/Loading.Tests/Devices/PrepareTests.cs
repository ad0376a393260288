using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A device is told what it will have to do before anything is staged for it, and before lanes race for it.</summary>
public sealed class PrepareTests : IDisposable
{
    private static readonly string[] Wanted = ["BF16 to F16", "F32 to F16"];

    private readonly TemporaryFolder _folder = new();
    private readonly LateDevice _device = new();

    // A tensor that stays as it is is nothing to prepare for.
    private readonly Sample _sample = Sample.Make(
        5, ("a", DType.BF16, [3000]), ("b", DType.F16, [100]), ("c", DType.F32, [4, 500]), ("d", DType.BF16, [7]));

    private LoadOptions Options => new() { Device = _device, DType = DType.F16 };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_load_prepares_its_conversions_before_the_first_slot()
    {
        await using var checkpoint = await _sample.OpenAsync();
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, Options));
        AssertPrepared(Wanted, before: 0, after: 0);
    }

    [Fact]
    public async Task A_load_into_a_model_prepares_its_conversions_before_the_first_slot()
    {
        await using var checkpoint = await _sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, Options);
        await using var model = await loader.LoadAsync(plan);
        var (prepared, rents) = (_device.Prepared.Count, _device.Rents);
        await loader.LoadIntoAsync(plan, model);
        AssertPrepared(Wanted, prepared, rents);
    }

    [Fact]
    public async Task A_stream_of_tensors_prepares_its_conversions_before_the_first_slot()
    {
        await using var checkpoint = await _sample.OpenAsync();
        var loader = new CheckpointLoader();
        await foreach (var (_, tensor) in loader.StreamAsync(loader.Plan(checkpoint, Options)))
        {
            tensor.Dispose();
        }

        AssertPrepared(Wanted, before: 0, after: 0);
    }

    [Fact]
    public async Task A_conversion_prepares_what_it_converts_before_the_first_slot()
    {
        await using var checkpoint = await _sample.OpenAsync();
        await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out.safetensors"], new ConversionOptions { DType = DType.F16, Device = _device });
        AssertPrepared(Wanted, before: 0, after: 0);
    }

    [Fact]
    public async Task Statistics_of_a_file_prepare_conversions_and_sums_before_the_first_slot()
    {
        var sample = Sample.Make(6, ("a", DType.BF16, [5000]), ("b", DType.I32, [50]), ("c", DType.F32, [9]), ("d", DType.C64, [3]), ("e", DType.I64, [0]));
        await using var checkpoint = await sample.OpenAsync();
        await StatisticsReader.ReadAsync(checkpoint, device: _device);
        AssertPrepared(["BF16 to F32", "C64 to F32", "I32 to F64", "sums of F32", "sums of F64"], before: 0, after: 0);
        Assert.StartsWith("sums", _device.Prepared.Last().What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statistics_of_a_model_prepare_conversions_and_sums()
    {
        await using var checkpoint = await Sample.Make(7, ("a", DType.BF16, [5000]), ("b", DType.C64, [3]), ("c", DType.F64, [2])).OpenAsync();
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = _device }));
        Assert.Empty(_device.Prepared);
        foreach (var (_, tensor) in model)
        {
            await LoadedStatistics.ComputeAsync(tensor);
        }

        AssertPrepared(["BF16 to F32", "sums of F32", "sums of F32", "sums of F64"], before: 0, after: _device.Rents);
    }

    // What was prepared since, whatever the order, and the slots handed out by then.
    private void AssertPrepared(IEnumerable<string> expected, int before, int after)
    {
        var prepared = _device.Prepared.Skip(before).ToArray();
        Assert.Equal(expected.Order(StringComparer.Ordinal), prepared.Select(one => one.What).Order(StringComparer.Ordinal));
        Assert.All(prepared, one => Assert.Equal(after, one.RentsBefore));
        Assert.True(_device.Rents > 0);
    }
}
