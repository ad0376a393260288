using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What every source promises, whatever its bytes come from.</summary>
public sealed class ByteSourceContractTests : IDisposable
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 200).Select(i => (byte)i)];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Kinds() => ["memory", "stream", "short stream", "file", "file under a limit"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Read_AnyRange_GivesTheBytes(string kind)
    {
        await using var source = Open(kind);
        Assert.Equal(200, source.Length);
        Assert.Equal("name", Path.GetFileName(source.Name));
        var buffer = new byte[50];
        await source.ReadExactlyAsync(120, buffer);
        Assert.Equal(Content[120..170], buffer);
        await source.ReadExactlyAsync(0, buffer);
        Assert.Equal(Content[..50], buffer);
        await source.EnsureUnchangedAsync();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Read_BeyondTheEnd_GivesNothingOrThrowsWhereItMustBeComplete(string kind)
    {
        await using var source = Open(kind);
        var buffer = new byte[10];
        Assert.Equal(0, await source.ReadAsync(200, buffer));
        Assert.Equal(0, await source.ReadAsync(1L << 50, buffer));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.ReadExactlyAsync(195, buffer));
        Assert.Equal(CheckpointErrorCode.FileTruncated, exception.Code);
        Assert.Equal(200, exception.Offset);
        Assert.Equal(source.Name, exception.File);
        await source.ReadExactlyAsync(500, Memory<byte>.Empty);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Read_NegativeOffset_Throws(string kind)
    {
        await using var source = Open(kind);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ReadAsync(-1, new byte[1]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Read_CancelledToken_Throws(string kind)
    {
        await using var source = Open(kind);
        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await source.ReadAsync(0, new byte[1], cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await source.ReadExactlyAsync(0, new byte[1], cancelled));
        // A turn that was given up is no turn that is held.
        Assert.Equal(1, await source.ReadAsync(0, new byte[1]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Read_InParallel_GivesEachItsOwnBytes(string kind)
    {
        await using var source = Open(kind);
        await Parallel.ForAsync(0, 1000, async (i, token) =>
        {
            var buffer = new byte[20];
            await source.ReadExactlyAsync(i % 180, buffer, token);
            Assert.Equal(Content[(i % 180)..((i % 180) + 20)], buffer);
        });
    }

    private IByteSource Open(string kind) => kind switch
    {
        "memory" => new MemorySource(Content, "name"),
        "stream" => new StreamSource(new MemoryStream(Content), "name"),
        "short stream" => new ShortReadSource(new StreamSource(new MemoryStream(Content), "name"), 3),
        "file" => new LocalFileSource(_folder.Write("name", Content)),
        _ => new LocalFileSource(_folder.Write("name", Content), new OpenFileLimit(1)),
    };
}
