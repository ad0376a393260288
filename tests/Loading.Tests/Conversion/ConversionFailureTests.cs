using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ConversionFailureTests : IDisposable
{
    private static readonly Sample Tensors = Sample.Make(
        5, ("first", DType.F32, [1000]), ("large", DType.F32, [700_000]), ("third", DType.I8, [5000]), ("last", DType.F16, [100]));

    private readonly TemporaryFolder _folder = new();
    private readonly HostDevice _device = new();

    private static long DataBegins => Tensors.File.Length - Tensors.Tensors.Sum(tensor => (long)tensor.Value.Length);

    public void Dispose()
    {
        // Whatever happened: nothing is left, neither on the disk nor in memory.
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
        Assert.Equal((0, 0), (_device.LiveAllocations, _device.LiveBytes));
        _folder.Dispose();
    }

    [Theory]
    [InlineData("out")]
    [InlineData("out.safetensors")]
    [InlineData("out.gguf")]
    public async Task A_failing_read_names_tensor_file_and_offset(string output)
    {
        await using var checkpoint = await Tensors.OpenAsync(inner => ThrowingSource.AfterBytes(inner, DataBegins + 4000 + (2 << 20) + 17));
        var error = await Assert.ThrowsAsync<IOException>(() => ConvertAsync(checkpoint, output, lanes: 1));
        Assert.Contains("sample.safetensors: tensor 'large' could not be read at byte ", error.Message, StringComparison.Ordinal);
        Assert.Contains(ThrowingSource.Message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_was_cut_names_the_tensor_and_where_it_ends()
    {
        var end = DataBegins + 4000 + 999_999;
        await using var checkpoint = await Tensors.OpenAsync(inner => new CutSource(inner, end));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ConvertAsync(checkpoint, "out", lanes: 1));
        Assert.Equal((CheckpointErrorCode.FileTruncated, "large", end), (error.Code, error.Tensor, error.Offset));
    }

    [Fact]
    public async Task A_file_that_changes_meanwhile_is_refused()
    {
        using var other = new TemporaryFolder();
        var path = other.Write("model.safetensors", Tensors.File);
        var source = new ActingSource(new LocalFileSource(path));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(1, () => File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5)));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ConvertAsync(checkpoint, "out"));
        Assert.Equal(CheckpointErrorCode.FileChanged, error.Code);
    }

    [Theory]
    [InlineData("out")]
    [InlineData("out.safetensors")]
    [InlineData("out.gguf")]
    public async Task Cancelling_ends_within_a_piece_of_each_lane(string output)
    {
        using var stop = new CancellationTokenSource();
        var source = new ActingSource(new MemorySource(Tensors.File, "sample.safetensors"));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(2, stop.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ConvertAsync(checkpoint, output, cancellationToken: stop.Token));
        Assert.InRange(source.ReadsAfterwards, 0, 1);
    }

    [Fact]
    public async Task A_read_that_never_ends_can_be_cancelled()
    {
        using var stop = new CancellationTokenSource();
        var source = new StallingSource(new MemorySource(Tensors.File, "sample.safetensors"));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.FallSilentFrom(DataBegins + 10_000);
        var converting = ConvertAsync(checkpoint, "out", cancellationToken: stop.Token);
        await source.Stalled;
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => converting.WaitAsync(TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public async Task What_the_target_cannot_hold_is_named()
    {
        await using var checkpoint = await BlockSample.OpenAsync("odd\u001b");
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { Device = _device }));
        Assert.Contains("one tensor cannot be written", error.Message, StringComparison.Ordinal);
        Assert.Contains("'odd\\u001b' (Q8_K)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_many_that_cannot_be_held_some_are_named_and_the_rest_counted()
    {
        await using var inner = await BlockSample.OpenAsync();
        var odd = inner["odd"];
        var many = Enumerable.Range(0, 12).Select(i => new TensorInfo($"t{i}", odd.DType, odd.Shape, odd.File, odd.Offset, odd.ByteLength)).ToArray();
        await using var checkpoint = Checkpoint.OfTensors(odd.File, many);
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]));
        Assert.Contains("12 tensors cannot be written", error.Message, StringComparison.Ordinal);
        Assert.Contains("'t0' (Q8_K), ", error.Message, StringComparison.Ordinal);
        Assert.Contains("'t4' (Q8_K) and 7 more;", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_device_that_refuses_memory_ends_it(int allocation)
    {
        var device = new LateDevice { FailingAllocation = allocation };
        await using var checkpoint = await Tensors.OpenAsync();
        await Assert.ThrowsAsync<DeviceMemoryException>(() => CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out"], new ConversionOptions { DType = DType.BF16, Device = device, Lanes = 2 }));
        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
        Assert.Empty(device.Violations);
    }

    [Fact]
    public async Task A_device_whose_work_fails_ends_it()
    {
        var device = new LateDevice { FailingFence = 3 };
        await using var checkpoint = await Tensors.OpenAsync();
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out"], new ConversionOptions { DType = DType.BF16, Device = device, Lanes = 2 }));
        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
    }

    // A sparse header over a file that claims more than any disk has.
    [LinuxFact]
    public async Task More_than_the_disk_holds_is_refused_with_both_numbers()
    {
        using var other = new TemporaryFolder();
        const long elements = 1L << 42;
        var header = "{" + SafetensorsBuilder.Entry("huge", "U8", [(ulong)elements], 0, (ulong)elements) + "}";
        var path = other.Write("huge.safetensors", SafetensorsBuilder.File(header));
        await using (var file = File.OpenWrite(path))
        {
            file.SetLength(file.Length + elements);
        }

        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var asFolder = await Assert.ThrowsAsync<IOException>(() => ConvertAsync(checkpoint, "out"));
        Assert.Contains($"{elements} bytes are to be written and ", asFolder.Message, StringComparison.Ordinal);
        var asFile = await Assert.ThrowsAsync<IOException>(() => ConvertAsync(checkpoint, "out.safetensors"));
        Assert.Matches("out\\.safetensors: there is no room for the [0-9]+ bytes of this file: [0-9]+ bytes are free", asFile.Message);
    }

    [Theory]
    [InlineData("out.safetensors", "out.safetensors")]
    [InlineData("out.gguf", "out.gguf")]
    [InlineData("out", "out/theirs")]
    public async Task What_comes_to_the_target_meanwhile_is_kept_unless_it_may_be_replaced(string output, string theirs)
    {
        var source = new ActingSource(new MemorySource(Tensors.File, "sample.safetensors"));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(1, () => _folder.Write(theirs, "theirs"));
        var error = await Assert.ThrowsAsync<IOException>(() => ConvertAsync(checkpoint, output));
        Assert.StartsWith(_folder[output] + ": ", error.Message, StringComparison.Ordinal);
        Assert.Equal("theirs", await File.ReadAllTextAsync(_folder[theirs]));
        File.Delete(_folder[theirs]);
        if (output != theirs)
        {
            Directory.Delete(_folder[output]);
        }
    }

    private Task<ConversionResult> ConvertAsync(
        Checkpoint checkpoint, string output, int lanes = 2, CancellationToken cancellationToken = default) =>
        CheckpointConverter.ConvertAsync(
            checkpoint, _folder[output], new ConversionOptions { DType = DType.BF16, Device = _device, Lanes = lanes }, null, cancellationToken);
}
