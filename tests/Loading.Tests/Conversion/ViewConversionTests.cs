using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ViewConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("safetensors", null, 1L << 20)]
    [InlineData("safetensors", DType.BF16, 64L << 10)]
    [InlineData("gguf", null, 64L << 10)]
    public async Task Views_are_written_side_by_side_and_what_sees_the_same_is_tied(string extension, DType? dtype, long staging)
    {
        var made = ViewSample.Make(3, DType.F32, 300, 90);
        await using var checkpoint = made.Open(
            new ViewShape("all", [300, 90], default, 0),
            new ViewShape("turned", [90, 300], [1, 90], 0),
            new ViewShape("third", [300, 30], [90, 1], 30),
            // The stride of a dimension of one element makes no other view.
            new ViewShape("again", [300, 30], [90, 1], 30),
            new ViewShape("once", [1, 90], [77, 1], 90),
            new ViewShape("twice", [1, 90], [5, 1], 90),
            new ViewShape("empty", [0, 7], [3, 9], 5));
        var output = _folder[$"out.{extension}"];
        var progress = new List<LoadProgress>();
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, output, new ConversionOptions { DType = dtype, Lanes = 2, StagingBytes = staging }, new Recorder(progress));
        await using var written = await Checkpoint.OpenAsync(output);
        Assert.Equal(checkpoint.Tensors.Select(tensor => tensor.Name).Order(), written.Tensors.Select(tensor => tensor.Name).Order());
        await using (var model = await new CheckpointLoader().LoadAsync(new CheckpointLoader().Plan(written)))
        {
            foreach (var tensor in checkpoint.Tensors)
            {
                Assert.Equal(tensor.Shape, model[tensor.Name].Shape);
                Assert.Equal(Decode(made.Bytes(tensor), dtype ?? DType.F32), model[tensor.Name].AsSpan<byte>().ToArray());
            }
        }

        var hasTies = extension == "safetensors";
        Assert.Equal(hasTies ? (2, 0) : (0, 2), (result.Ties, result.DuplicatedTensors));
        // All is written, turned once more, a third and a row.
        var size = (dtype ?? DType.F32).BlockSize;
        Assert.Equal((4, (27_000L + 9_000 + 90) * size), (result.SeparatedTensors, result.SeparatedBytes));
        Assert.Equal(result.BytesRead, progress[^1].TotalBytes);
        Assert.Equal(progress[^1].TotalBytes, progress[^1].BytesRead);
    }

    [Fact]
    public async Task A_tensor_that_sees_elements_several_times_says_what_that_adds_and_parts_that_share_nothing_add_nothing()
    {
        var made = ViewSample.Make(3, DType.F32, 300);
        await using var expanded = made.Open(new ViewShape("e", [100, 30], [0, 1], 0));
        var result = await CheckpointConverter.ConvertAsync(expanded, _folder["e.safetensors"]);
        Assert.Equal((1, 99 * 120L, 12_000L), (result.SeparatedTensors, result.SeparatedBytes, result.BytesWritten));
        await using var apart = made.Open(new ViewShape("a", [10, 10], [1, 10], 0), new ViewShape("b", [200], [1], 100));
        result = await CheckpointConverter.ConvertAsync(apart, _folder["a.safetensors"]);
        Assert.Equal((0, 0L), (result.SeparatedTensors, result.SeparatedBytes));
    }

    [Fact]
    public async Task A_transposed_matrix_is_converted_in_long_pieces_where_memory_allows()
    {
        var made = ViewSample.Make(3, DType.F32, 1500, 2000);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), new ViewShape("t", [2000, 1500], [1, 2000], 0));
        var device = new HostDevice();
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["t.safetensors"], new ConversionOptions { Device = device, Lanes = 2 });
        // 12 MB: one piece of it, and a pass over the storage.
        Assert.InRange(source!.BytesRead, 12_000_000, 12_000_000 + (64 << 10));
        Assert.Equal(0, device.LiveAllocations);
        await using var written = await Checkpoint.OpenAsync(_folder["t.safetensors"]);
        var comparison = await CheckpointComparer.CompareAsync(checkpoint, written, compareValues: true);
        Assert.Equal((TensorDifferences.None, null, 3_000_000L), (comparison.Tensors[0].Differences, comparison.Tensors[0].Error, comparison.Tensors[0].Values!.Count));
        var values = await TensorValues.ReadAsync(checkpoint["t"], 1499, 3);
        Assert.Equal(
            new[] { 1499 * 2000, 1, 2001 }.Select(element => (double)BitConverter.ToSingle(made.Storage[(element * 4)..])), values.Select(value => value.Number));
    }

    [Fact]
    public async Task A_view_differs_from_another_where_its_elements_do()
    {
        var made = ViewSample.Make(3, DType.F32, 30, 40);
        await using var left = made.Open(new ViewShape("t", [40, 30], [1, 40], 0));
        await using var right = made.Open(new ViewShape("t", [40, 30], [30, 1], 0));
        var (a, b) = (made.Bytes(left["t"]), made.Bytes(right["t"]));
        var different = Enumerable.Range(0, 1200).Count(i => BitConverter.ToSingle(a, i * 4) != BitConverter.ToSingle(b, i * 4));
        var comparison = await CheckpointComparer.CompareAsync(left, right, compareValues: true);
        Assert.Equal((TensorDifferences.Values, (long)different), (comparison.Tensors[0].Differences, comparison.Tensors[0].Values!.DifferentCount));
    }

    private static byte[] Decode(byte[] stored, DType target)
    {
        if (target == DType.F32)
        {
            return stored;
        }

        var values = new byte[stored.Length / 4 * target.BlockSize];
        Codecs.Of(DType.F32).DecodeScalar(stored, values, target);
        return values;
    }

    private sealed class Recorder(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => reports.Add(value);
    }
}
