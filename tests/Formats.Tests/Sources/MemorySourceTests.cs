using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class MemorySourceTests
{
    private static readonly byte[] Bytes = [1, 2, 3, 4, 5];

    [Theory]
    [InlineData(0, 5, new byte[] { 1, 2, 3, 4, 5 })]
    [InlineData(0, 2, new byte[] { 1, 2 })]
    [InlineData(3, 9, new byte[] { 4, 5 })]
    [InlineData(5, 1, new byte[0])]
    [InlineData(long.MaxValue, 1, new byte[0])]
    [InlineData(1, 0, new byte[0])]
    public async Task Read_GivesWhatIsThere_BothWays(long offset, int length, byte[] expected)
    {
        await using var source = new MemorySource(Bytes);
        var destination = new byte[length];
        Assert.Equal(expected.Length, source.Read(offset, destination));
        Assert.Equal(expected, destination[..expected.Length]);
        var again = new byte[length];
        Assert.Equal(expected.Length, await source.ReadAsync(offset, again));
        Assert.Equal(destination, again);
    }

    [Fact]
    public async Task Source_HasItsNameAndLength_AndNeverChanges()
    {
        await using var source = new MemorySource(Bytes, "some name");
        Assert.Equal("some name", source.Name);
        Assert.Equal(5, source.Length);
        await source.EnsureUnchangedAsync();
    }

    [Fact]
    public async Task Read_AtANegativeOffset_IsRefused()
    {
        await using var source = new MemorySource(Bytes);
        Assert.Throws<ArgumentOutOfRangeException>("offset", () => source.Read(-1, new byte[1]));
    }

    [Fact]
    public async Task ReadAsync_Cancelled_Throws()
    {
        await using var source = new MemorySource(Bytes);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await source.ReadAsync(0, new byte[1], new CancellationToken(canceled: true)));
    }

    [Theory]
    [InlineData(0, 6, 5)]
    [InlineData(5, 1, 5)]
    [InlineData(7, 2, 7)]
    public async Task ReadExactly_BeyondTheEnd_SaysWhereAndHowMuchIsMissing(long offset, int length, long endsAt)
    {
        await using var source = new MemorySource(Bytes, "m");
        var exception = Assert.Throws<InvalidCheckpointException>(() => source.ReadExactly(offset, new byte[length]));
        var awaited = await Assert.ThrowsAsync<InvalidCheckpointException>(
            async () => await source.ReadExactlyAsync(offset, new byte[length]));
        Assert.Equal(CheckpointErrorCode.FileTruncated, exception.Code);
        Assert.Equal("m", exception.File);
        Assert.Equal(endsAt, exception.Offset);
        Assert.Contains($"{offset + length - endsAt} more bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("5 bytes when it was opened", exception.Message, StringComparison.Ordinal);
        Assert.Equal(exception.Message, awaited.Message);
    }

    [Fact]
    public async Task ReadExactly_OfNothing_ReadsNothingAnywhere()
    {
        await using var source = new MemorySource(Bytes);
        source.ReadExactly(100, []);
        await source.ReadExactlyAsync(100, Memory<byte>.Empty);
    }
}
