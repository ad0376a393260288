using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Values of a loaded model that are not finite, found where the model is.</summary>
public sealed class LoadedFiniteValuesTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData((9 << 20) - 1)]
    public async Task The_first_is_named_with_tensor_index_and_counts(int position)
    {
        // A stretch of BF16 has 8 Mi elements, the scratch as many.
        var values = new byte[2 * (9 << 20)];
        (values[2 * position], values[(2 * position) + 1]) = (0xC0, 0x7F);
        (values[^2], values[^1]) = (0x80, 0xFF);
        var file = new SafetensorsBuilder().Add("fine", "F32", [2], new byte[8]).Add("bad", "BF16", [9, 1 << 20], values).ToBytes();
        var bad = position == (9 << 20) - 1 ? "1 is infinite" : "1 is NaN and 1 is infinite";
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            await using var checkpoint = await Sample.Of(file).OpenAsync();
            await using (var model = await LoadAsync(checkpoint, device))
            {
                var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(model));
                Assert.Equal((CheckpointErrorCode.ValueNotFinite, "bad", "sample.safetensors"), (error.Code, error.Tensor, error.File));
                Assert.Contains(
                    $"of {9 << 20} values {bad} as BF16 on {device.Id}, the first at [{position >> 20}, {position & 0xFFFFF}]; compare the file's hash with its source's.",
                    error.Message,
                    StringComparison.Ordinal);
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public async Task Others_are_named_beside_it_and_after_three_counted()
    {
        var builder = new SafetensorsBuilder().Add("a", "C64", [2], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x7F]);
        for (var i = 0; i < 5; i++)
        {
            builder.Add($"b{i}", "F16", [], [0, 0x7C]);
        }

        await using var checkpoint = await Sample.Of(builder.ToBytes()).OpenAsync();
        await using var model = await LoadAsync(checkpoint, new HostDevice());
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(model));
        Assert.Contains(
            "of 4 values 1 is infinite as C64 on host, the first at [1], and so have 'b0', 'b1', 'b2' and 2 more; ",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_narrow_dtype_made_infinite_is_found_though_the_file_is_fine()
    {
        float[] values = [1, 65504, 1e6f];
        var file = new SafetensorsBuilder().Add("a", "F32", [3], MemoryMarshal.AsBytes<float>(values)).ToBytes();
        await using var checkpoint = await Sample.Of(file).OpenAsync();
        await FiniteValues.EnsureAsync(checkpoint);
        await using var wide = await LoadAsync(checkpoint, new HostDevice());
        await FiniteValues.EnsureAsync(wide);
        await using var narrow = await LoadAsync(checkpoint, new HostDevice(), DType.F16);
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(narrow));
        Assert.EndsWith(
            "of 3 values 1 is infinite as F16 on host, the first at [2]; where the file, which has it as F32, has none ('verify --values' tells), F16 is too narrow.",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_a_tensor_whose_dtype_was_changed_can_have_too_narrow_a_one()
    {
        var file = new SafetensorsBuilder().Add("half", "F16", [1], [0x01, 0x7E]).Add("full", "F32", [2], [0, 0, 0xC0, 0x7F, 0, 0, 0xC0, 0x7F]).ToBytes();
        await using var checkpoint = await Sample.Of(file).OpenAsync();
        await using var model = await LoadAsync(checkpoint, new HostDevice(), DType.F16);
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(model));
        Assert.EndsWith(
            "its only value is NaN as F16 on host, the first at [0], and so has 'full'; compare the file's hash with its source's.",
            error.Message,
            StringComparison.Ordinal);
        model.Detach("half").Dispose();
        var converted = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(model));
        Assert.Contains("tensor 'full': of 2 values 2 are NaN as F16 on host, the first at [0]; where the file, which has it as F32", converted.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Progress_counts_tensors_and_bytes_to_the_end()
    {
        var sample = Sample.Make(2, ("a", DType.U8, [5000]), ("b", DType.I16, [300]), ("none", DType.F32, [0]));
        await using var checkpoint = await sample.OpenAsync();
        await using var model = await LoadAsync(checkpoint, new HostDevice());
        var progress = new RecordedProgress();
        await FiniteValues.EnsureAsync(model, progress);
        Assert.Equal(new LoadProgress(5600, 5600, 3, 3), progress.Reports[^1]);
    }

    private static Task<LoadedModel> LoadAsync(Checkpoint checkpoint, Device device, DType? dtype = null)
    {
        var loader = new CheckpointLoader();
        return loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, DType = dtype }));
    }
}
