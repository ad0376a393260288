using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Writing, committing and giving up.</summary>
public sealed class SafetensorsWriterUseTests : IDisposable
{
    private static readonly SafetensorsTensor[] Two = [new("a", DType.U8, new Shape(4)), new("b", DType.F16, new Shape(3))];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Writer_KnowsItsTensorsAndItsLength()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(_folder["f"], Two);
        Assert.Equal(["b", "a"], writer.Tensors.Select(tensor => tensor.Name));
        await writer.WriteAsync("a", 0, new byte[4]);
        await writer.WriteAsync("b", 0, new byte[6]);
        await writer.CommitAsync();
        Assert.Equal(writer.Length, new FileInfo(_folder["f"]).Length);
    }

    [Fact]
    public async Task Commit_BeforeEveryByteCame_SaysWhichTensorLacksThem()
    {
        await using (var writer = await SafetensorsWriter.CreateAsync(_folder["f"], Two))
        {
            await writer.WriteAsync("b", 0, new byte[6]);
            await writer.WriteAsync("a", 1, new byte[3]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
            Assert.Equal($"{_folder["f"]}: 3 of 4 bytes of tensor 'a' were written.", exception.Message);
            Assert.False(File.Exists(_folder["f"]));

            // The writer is still good.
            await writer.WriteAsync("a", 0, new byte[1]);
            await writer.CommitAsync();
        }

        Assert.Equal([_folder["f"]], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Commit_WithoutAnyByteOfEmptyTensors_IsComplete()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(_folder["f"], [new("a", DType.F32, new Shape(0, 4))]);
        await writer.CommitAsync();
        await using var checkpoint = await Opening.AcceptedAsync(await File.ReadAllBytesAsync(_folder["f"]));
        Assert.Equal(new Shape(0, 4), checkpoint["a"].Shape);
    }

    [Theory]
    [InlineData("a", 0, 5)]
    [InlineData("a", 4, 1)]
    [InlineData("a", 5, 0)]
    [InlineData("a", long.MaxValue, 1)]
    [InlineData("a", long.MaxValue - 150, 100)]
    [InlineData("b", 6, 1)]
    public async Task Write_BeyondTheTensor_IsRefusedWithItsSize(string name, long offset, int length)
    {
        await using var writer = await SafetensorsWriter.CreateAsync(_folder["f"], Two);
        var exception = await Assert.ThrowsAsync<ArgumentException>(
            nameof(offset), async () => await writer.WriteAsync(name, offset, new byte[length]));
        Assert.Contains($"'{name}' has {(name == "a" ? 4 : 6)} bytes; {length} at {offset}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Write_BeforeTheTensorOrOfNoTensor_IsRefused()
    {
        await using var writer = await SafetensorsWriter.CreateAsync(_folder["f"], Two);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>("offset", async () => await writer.WriteAsync("a", -1, new byte[1]));
        await Assert.ThrowsAsync<ArgumentException>("name", async () => await writer.WriteAsync("c", 0, new byte[1]));
        await writer.WriteAsync("a", 4, ReadOnlyMemory<byte>.Empty);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
    }

    [Fact]
    public async Task Write_FromManyThreads_InAnyOrder_GivesTheSameFile()
    {
        const int count = 32;
        const int size = 1024;
        SafetensorsTensor[] tensors = [.. Enumerable.Range(0, count).Select(i => new SafetensorsTensor($"t{i:00}", DType.U8, new Shape(size)))];
        var pieces = (from tensor in Enumerable.Range(0, count) from piece in Enumerable.Range(0, 16) select (tensor, piece)).ToArray();
        new Random(3).Shuffle(pieces);
        await using (var writer = await SafetensorsWriter.CreateAsync(_folder["f"], tensors))
        {
            await Parallel.ForEachAsync(pieces, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (at, token) =>
                await writer.WriteAsync($"t{at.tensor:00}", at.piece * 64, Enumerable.Repeat((byte)((at.tensor * 16) + at.piece), 64).ToArray(), token));
            await writer.CommitAsync();
        }

        var file = await File.ReadAllBytesAsync(_folder["f"]);
        Assert.Equal(Enumerable.Range(0, count * size).Select(i => (byte)(i / 64)), file[^(count * size)..]);
    }

    [Fact]
    public async Task Commit_ReplacesAFile_AndNotBefore()
    {
        _folder.Write("f", "old");
        await using var writer = await SafetensorsWriter.CreateAsync(_folder["f"], [new("a", DType.U8, new Shape(1))]);
        await writer.WriteAsync("a", 0, new byte[] { 9 });
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        await writer.CommitAsync();
        Assert.Equal(
            new SafetensorsBuilder().Add("a", "U8", [1], [9]).ToBytes(), await File.ReadAllBytesAsync(_folder["f"]));
    }

    [Fact]
    public async Task Dispose_WithoutCommit_LeavesTheOldFileAndNothingElse()
    {
        _folder.Write("f", "old");
        var writer = await SafetensorsWriter.CreateAsync(_folder["f"], Two);
        await writer.WriteAsync("a", 0, new byte[4]);
        await writer.DisposeAsync();
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Create_Cancelled_LeavesNothing()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => SafetensorsWriter.CreateAsync(_folder["f"], Two, cancellationToken: new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }
}
