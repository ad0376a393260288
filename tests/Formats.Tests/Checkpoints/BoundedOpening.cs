using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Opens the bytes of one file within the bound of memory that holds for every bad input, and again a few bytes a read.</summary>
internal static class BoundedOpening
{
    /// <summary>What opening may allocate beyond the file's own size (formats.md section 5).</summary>
    public const long AllocationBound = 64L << 20;

    // Whoever reads more than this on a terminal reads none of it.
    private const int LongestMessage = 1200;

    /// <summary>Opens bytes from memory within the bound; the result, or the exception, is the task's.</summary>
    public static Task<Checkpoint> OpenAsync(byte[] file, string name, CheckpointOptions? options)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = Checkpoint.OpenAsync(new MemorySource(file, name), options);
        // A source in memory is read on this thread, so what is counted is all there was.
        Assert.True(opening.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, file.Length + AllocationBound);
        return opening;
    }

    /// <summary>Opens bytes that are not valid, and gives the exception, which is the same however short the reads are.</summary>
    public static async Task<TException> RefusedAsync<TException>(byte[] file, string name, CheckpointErrorCode code, CheckpointOptions? options)
        where TException : CheckpointException
    {
        var exception = await Assert.ThrowsAsync<TException>(() => OpenAsync(file, name, options));

        var slow = new ShortReadSource(new MemorySource(file, name), 7);
        var again = await Assert.ThrowsAsync<TException>(() => Checkpoint.OpenAsync(slow, options));
        Assert.Equal(code, exception.Code);
        Assert.Equal(name, exception.File);
        Assert.StartsWith(name + ": ", exception.Message, StringComparison.Ordinal);
        Assert.InRange(exception.Message.Length, name.Length + 10, LongestMessage);
        Assert.Equal(exception.Message, again.Message);
        Assert.Equal(1, slow.Disposals);
        return exception;
    }
}
