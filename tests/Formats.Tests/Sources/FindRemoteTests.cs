using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class FindRemoteTests
{
    [Fact]
    public void FindRemote_OfASourceAndOfWhatIsPutOverIt_IsThatSource()
    {
        var remote = new FarSource(new MemorySource(new byte[16], "far"));
        var swapped = ByteOrderSource.Over(remote, [new SwappedRange(0, 4, 4, [new SwappedField(0, 4)])]);

        foreach (var source in (IByteSource[])[remote, BorrowedSource.Of(remote), swapped, AppendedSource.Over(swapped, [new MemorySource(new byte[3], "near")])])
        {
            Assert.Same(remote, source.FindRemote());
        }
    }

    [Fact]
    public void FindRemote_OfALocalFileWithSections_IsNone()
    {
        var file = new MemorySource(new byte[16], "near");
        Assert.Null(file.FindRemote());
        Assert.Null(BorrowedSource.Of(file).FindRemote());
        Assert.Null(AppendedSource.Over(file, [new FarSource(new MemorySource(new byte[3], "far"))]).FindRemote());
    }

    private sealed class FarSource(IByteSource inner) : SourceDouble(inner), IRemoteByteSource
    {
        public int ParallelReads => 4;

        public int PreferredReadBytes => 1 << 20;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) => Inner.ReadAsync(offset, destination, cancellationToken);
    }
}
